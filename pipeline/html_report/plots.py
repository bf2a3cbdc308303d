"""Plots as inline SVG, in a few lines of our own: bars and steps need no library.

The report and the operator's page show the same ones. A drawing is stretched to the width that
there is, so all text stands beside it: it is as large on a phone as on a desk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH, HEIGHT = 720, 120
PANEL: Final = 100
"""How tall the upper part of `budget` is."""
_GAP, _LOW = 14, 40
_TOP: Final = 4
_NO_STRETCH = 'preserveAspectRatio="none"'


class Line(NamedTuple):
    """A level that is drawn across a plot.

    Attributes:
      kind: a class of the style sheet.
      value: how high it lies.
    """

    kind: str
    value: int


def stacked(
    spans: Sequence[Mapping[str, int]], kinds: Sequence[str], first: str, last: str, label: str
) -> str:
    """Bars side by side, one a span, each of its kinds on top of one another.

    Args:
      spans: counts by kind.
      kinds: from the bottom up; each is a class of the style sheet.
      first: what the left end is called.
      last: what the right end is called.
      label: what the plot shows, for whoever cannot see it.
    """
    highest = max((sum(span.values()) for span in spans), default=0)
    drawn = _grid(0, HEIGHT) + _bars(spans, kinds, highest, HEIGHT, HEIGHT)
    return _figure(f"at most {highest:,} in a span", drawn, HEIGHT, first, last, label)


def budget(
    windows: Sequence[Mapping[str, int]],
    spans: Sequence[int],
    lines: Sequence[Line],
    scale: str,
    first: str,
    last: str,
    label: str,
) -> str:
    """Above, what counts against a budget as time goes, below lines; beneath, each span's own.

    Args:
      windows: ``own`` and ``others`` that count, by span.
      spans: own requests of each span.
      lines: levels in the upper part.
      scale: what the two parts show, and up to where.
      first: what the left end is called.
      last: what the right end is called.
      label: what the plot shows, for whoever cannot see it.
    """
    tops = [sum(each.values()) for each in windows] + [each.value for each in lines]
    highest = max(tops, default=0) or 1
    drawn = _grid(0, PANEL) + _steps(windows, ("own", "others"), highest)
    for each in lines:
        y = PANEL - each.value / highest * (PANEL - _TOP)
        drawn += (
            f'<line class="{escape(each.kind)}" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    floor = PANEL + _GAP + _LOW
    drawn += f'<line class="grid" x1="0" x2="{WIDTH}" y1="{floor}" y2="{floor}"/>'
    drawn += _bars([{"own": each} for each in spans], ("own",), max(spans, default=0), floor, _LOW)
    return _figure(scale, drawn, floor, first, last, label)


def share(counts: Mapping[str, int], kinds: Sequence[str], label: str) -> str:
    """One bar that is divided as the kinds are; nothing where there are none."""
    total = sum(counts.get(kind, 0) for kind in kinds)
    if not total:
        return ""
    parts, start = [], 0.0
    for kind in kinds:
        wide = counts.get(kind, 0) / total * 100
        if wide:
            parts.append(
                f'<rect class="{escape(kind)}" x="{start:.2f}" y="0" width="{wide:.2f}"'
                ' height="10"/>'
            )
        start += wide
    return (
        f'<svg class="share" viewBox="0 0 100 10" {_NO_STRETCH} role="img"'
        f' aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _figure(scale: str, drawn: str, height: int, first: str, last: str, label: str) -> str:
    return (
        f'<figure class="plot"><p class="scale">{escape(scale)}</p>'
        f'<svg viewBox="0 0 {WIDTH} {height}" {_NO_STRETCH} role="img"'
        f' aria-label="{escape(label)}">{drawn}</svg>'
        f'<p class="ends"><span>{escape(first)}</span><span>{escape(last)}</span></p></figure>'
    )


def _grid(top: int, floor: int) -> str:
    levels = (floor, (floor + top + _TOP) / 2, top + _TOP)
    return "".join(
        f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>' for y in levels
    )


def _bars(
    spans: Sequence[Mapping[str, int]], kinds: Sequence[str], highest: int, floor: int, tall: int
) -> str:
    width = WIDTH / max(1, len(spans))
    parts: list[str] = []
    for place, span in enumerate(spans):
        base = float(floor)
        for kind in kinds:
            height = span.get(kind, 0) / (highest or 1) * (tall - _TOP)
            if height:
                base -= height
                parts.append(
                    f'<rect class="{escape(kind)}" x="{place * width:.1f}" y="{base:.1f}"'
                    f' width="{max(1.0, width - 1):.1f}" height="{height:.1f}"/>'
                )
    return "".join(parts)


def _steps(spans: Sequence[Mapping[str, int]], kinds: Sequence[str], highest: int) -> str:
    """Areas with one step a span, one kind on top of the other."""
    width = WIDTH / max(1, len(spans))
    below = [0] * len(spans)
    parts: list[str] = []
    for kind in kinds:
        above = [base + span.get(kind, 0) for base, span in zip(below, spans, strict=True)]
        if above != below:
            there = _outline(above, width, highest)
            back = reversed(_outline(below, width, highest))
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*there, *back))
            parts.append(f'<polygon class="{escape(kind)}" points="{points}"/>')
        below = above
    return "".join(parts)


def _outline(values: Sequence[int], width: float, highest: int) -> list[tuple[float, float]]:
    return [
        (x * width, PANEL - value / highest * (PANEL - _TOP))
        for place, value in enumerate(values)
        for x in (place, place + 1)
    ]
