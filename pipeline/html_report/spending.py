"""An Outreach user's budget over time: a plot, a legend, and the same in words."""

from __future__ import annotations

from html import escape
from typing import Any

from pipeline.console.formatting import duration
from pipeline.html_report.plots import Line, budget, stacked
from pipeline.ledger.queries.spending import HOUR_MINUTES, Spending


def spending_figure(one: Spending, first: str, last: str) -> str:
    """What a user spent, and what it might have; as HTML.

    Args:
      one: the user's spends.
      first: what the left end is called.
      last: what the right end is called.
    """
    words = in_words(one)
    if not one.window_minutes:
        spans = [{"own": each} for each in one.requests]
        return stacked(spans, ("own",), first, last, words) + _legend(one)
    windows = [
        {"own": own, "others": others}
        for own, others in zip(one.windows, one.withheld, strict=True)
    ]
    scale = (
        f"above: requests in the {_window(one)} up to then, at most {max(one.windows):,};"
        f" below: in each {_span(one)}, at most {max(one.requests):,}"
    )
    plot = budget(windows, one.requests, _lines(one), scale, first, last, words)
    return plot + _legend(one)


def in_words(one: Spending) -> str:
    """The figures of a plot in a sentence."""
    whole = duration(len(one.requests) * one.span_minutes * 60)
    parts = [
        f"Requests of {one.user} over {whole}: {sum(one.requests):,}",
        f"at most {max(one.requests):,} in a {_span(one)}",
    ]
    if one.window_minutes:
        parts.append(
            f"{one.windows[-1]:,} in the last {_window(one)},"
            f" and at most {max(one.windows):,} in any"
        )
    if max(one.withheld):
        parts.append(f"Outreach allowed up to {max(one.withheld):,} fewer, for others or after 429")
    if one.limit is not None:
        parts.append(f"the limit is {one.limit:,}, of which {one.reserve:,} are kept in reserve")
        if one.backfill < one.allowance:
            parts.append(f"a backfill stops at {one.backfill:,}, the rest is the live share")
    return "; ".join(parts)


def as_json(one: Spending, first: str, last: str) -> dict[str, Any]:
    """The figures, and the plot of them as HTML."""
    return {**one._asdict(), "words": in_words(one), "figure": spending_figure(one, first, last)}


def _window(one: Spending) -> str:
    minutes = one.window_minutes
    return "hour" if minutes == HOUR_MINUTES else duration(minutes * 60)


def _span(one: Spending) -> str:
    return "minute" if one.span_minutes == 1 else f"{duration(one.span_minutes * 60)} span"


def _lines(one: Spending) -> list[Line]:
    if one.limit is None:
        return []
    lines = [Line("limit", one.limit), Line("reserve", one.allowance)]
    return [*lines, Line("backfill", one.backfill)] if one.backfill < one.allowance else lines


def _legend(one: Spending) -> str:
    shown = [("own", "our requests")]
    if max(one.withheld):
        shown.append(("others", "not allowed by Outreach: others spent them, or 429"))
    if one.window_minutes and one.limit is not None:
        shown.append(("limit", f"limit, {one.limit:,}"))
        shown.append(("reserve", f"the reserve begins, {one.allowance:,}"))
        if one.backfill < one.allowance:
            shown.append(("backfill", f"the live share begins, {one.backfill:,}"))
    parts = "".join(f'<span><i class="{kind}"></i>{escape(text)}</span>' for kind, text in shown)
    return f'<p class="legend">{parts}</p>'
