"""Plots as inline SVG, in a few lines of our own: two kinds of bars need no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 150
_LEFT, _BOTTOM, _TOP = 56, 22, 8


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
    highest = max((sum(span.values()) for span in spans), default=0) or 1
    floor = HEIGHT - _BOTTOM
    width = (WIDTH - _LEFT) / max(1, len(spans))
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * highest:,.0f}</text>'
        for share in (0, 0.5, 1)
        for y in (floor - share * (floor - _TOP),)
    ]
    for place, span in enumerate(spans):
        base = float(floor)
        for kind in kinds:
            tall = span.get(kind, 0) / highest * (floor - _TOP)
            if tall:
                base -= tall
                parts.append(
                    f'<rect class="{escape(kind)}" x="{_LEFT + place * width:.1f}" y="{base:.1f}"'
                    f' width="{max(1.0, width - 1):.1f}" height="{tall:.1f}"/>'
                )
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 6}">{escape(first)}</text>')
    parts.append(f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{escape(last)}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


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
        f'<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
