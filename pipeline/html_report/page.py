"""The report's page: a summary, each audience, time, refusals with what mends them, the mapping."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pipeline.console.formatting import duration, lasted
from pipeline.html_report.plots import share, stacked
from pipeline.html_report.remedies import REMEDIES
from pipeline.html_report.spending import spending_figure
from pipeline.ledger.queries.activity import Activity, Refusals
from pipeline.ledger.queries.freshness import Freshness
from pipeline.ledger.queries.savings import Savings
from pipeline.ledger.queries.spending import Spending
from pipeline.web.styles import SHARED
from transforms.elements import OUTCOMES
from transforms.errors import ConfigurationError

STYLES: Final = (
    SHARED / "base.css",
    SHARED / "plots.css",
    files("pipeline.html_report") / "static" / "report.css",
)
MEANINGS: Final = {
    "delivered": "written to Outreach",
    "unchanged": "held that value already, so no request was spent",
    "superseded": "a newer change took their place before they were sent",
    "rejected": "refused for good; each is a dead letter",
    "deferred": "left when the job was asked to stop; to be replayed",
}


def report_page(
    activity: Activity, title: str, summary: Mapping[str, Any] | None, made_at: float
) -> str:
    """The page.

    Args:
      activity: what there is to report.
      title: what was done, for people.
      summary: of the run; None where the report is of all that a ledger remembers.
      made_at: seconds since the epoch.
    """
    if summary is not None and summary.get("dry_run"):
        activity = activity._replace(delays=None, freshness={})  # Nothing was delivered.
    totals = {
        name: sum(each.outcomes.get(name, 0) for each in activity.audiences) for name in OUTCOMES
    }
    style = "".join(sheet.read_text("utf-8") for sheet in STYLES)
    parts = [
        _tiles(totals, summary, activity),
        _section("Outcomes", _outcomes(totals)),
        _section("Audiences", _audiences(activity)),
        _section("Over time", _time(activity)),
        _section("Requests over time", _spending(activity.spending)),
        _section("Requests saved", _savings(activity.savings, summary)),
        _section("Refused", _refusals(activity.refusals)),
        _section("Not mapped", _unmapped(summary, activity)),
        _section("The mapping", _mapping(activity.mapping)),
    ]
    when = _instant(made_at)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>Made at {when} by outreach-activation.</p></header>"
        f"<main>{''.join(parts)}</main></body></html>\n"
    )


def write_report(path: str, page: str) -> None:
    """Writes a page to a file.

    Raises:
      ConfigurationError: it cannot be written.
    """
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be written: {problem.strerror}") from problem


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def _tiles(totals: Mapping[str, int], summary: Mapping[str, Any] | None, activity: Activity) -> str:
    changes = sum(totals.values())
    shown: list[tuple[str, str]] = [("changes", f"{changes:,}")]
    if summary is None and activity.spending:
        requests = sum(sum(each.requests) for each in activity.spending)
        shown.append(("requests", f"{requests:,}"))
    if summary is not None:
        shown.insert(0, ("records", f"{summary['records']:,}"))
        shown.append(("requests", f"{summary['requests']:,}"))
        spared = changes - summary["requests"]
        if spared > 0 and not summary.get("dry_run"):
            shown.append(("requests spared by merging and reading", f"{spared:,}"))
        if summary.get("dry_run"):
            shown.append(("rehearsed", "nothing was sent"))
        shown.append(("took", duration(summary["seconds"])))
    tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in shown)
    return f'<dl class="tiles">{tiles}</dl>'


def _outcomes(totals: Mapping[str, int]) -> str:
    label = ", ".join(f"{totals[name]:,} {name}" for name in OUTCOMES if totals[name])
    rows = [
        (f'<i class="{name}"></i> {name}', f"{totals[name]:,}", escape(MEANINGS[name]))
        for name in OUTCOMES
        if totals[name]
    ]
    return share(totals, OUTCOMES, label) + _table(("outcome", "changes", "meaning"), rows)


def _audiences(activity: Activity) -> str:
    rows = [
        (
            f"{escape(each.name)}<small>{escape(each.segment or '')}</small>",
            f"<code>{escape(each.field)}</code>",
            *(f"{each.outcomes.get(name, 0):,}" for name in OUTCOMES),
            f"{each.waiting:,}",
            _freshness(activity.freshness.get(each.segment or "")),
        )
        for each in activity.audiences
    ]
    heads = ("audience", "field", *OUTCOMES, "waiting", "freshness, p50 / p99")
    return _table(heads, rows) + (
        "<p>Freshness: from a change's arrival here to its delivery, half of them took at most the"
        " first, 99 in 100 at most the second.</p>"
        if activity.freshness
        else ""
    )


def _freshness(found: Freshness | None) -> str:
    if found is None:
        return ""
    # In one piece: a narrow column would break it anywhere.
    return f"{lasted(found.p50)} / {lasted(found.p99)}".replace(" ", "&nbsp;")


def _time(activity: Activity) -> str:
    if activity.began is None or activity.ended is None:
        return "<p>There are no receipts.</p>"
    first, last = _instant(activity.began / 1e6), _instant(activity.ended / 1e6)
    plot = stacked(
        activity.outcomes, OUTCOMES, first, last, f"Changes by outcome from {first} to {last}"
    )
    if activity.delays is None:
        return plot
    return (
        f"{plot}<p>From a change's arrival here to its delivery: {lasted(activity.delays.p50)}"
        f" for half of them, {lasted(activity.delays.p99)} for 99 of a hundred.</p>"
    )


def _spending(users: Sequence[Spending]) -> str:
    parts: list[str] = []
    for each in users:
        if any(each.requests):
            first = _instant(each.began)
            last = _instant(each.began + len(each.requests) * each.span_minutes * 60)
            parts.append(f"<h3>{escape(each.user)}</h3>{spending_figure(each, first, last)}")
    return "".join(parts)


def _savings(saved: Savings | None, summary: Mapping[str, Any] | None) -> str:
    if saved is None or not saved.changes or (summary or {}).get("dry_run"):
        return ""
    actions = f"{saved.batches:,} bulk action{'s' * (saved.batches != 1)}"
    rows = [
        ("merged", saved.merged, "a newer change took their place before they were sent"),
        ("sent together", saved.together, "another field of their prospect took them along"),
        ("known", saved.known, "the field was known to hold that already"),
        ("directory", saved.directory, "the directory has it that the field holds that already"),
        ("read", saved.read, "the field was read to hold that already, many prospects a request"),
        ("bulk", saved.bulk, f"written by {actions}, which take a few requests each"),
    ]
    cells = [(name, f"{count:,}", text) for name, count, text in rows if count]
    return _table(("how", "changes", "that took no request of their own"), cells)


def _refusals(refusals: Sequence[Refusals]) -> str:
    rows = [
        (
            f"<code>{escape(each.reason)}</code>",
            f"{each.letters:,}",
            (
                f"{escape(REMEDIES.get(each.reason, ''))}"
                f"<small>{escape(each.example)} ({escape(each.source)})</small>"
            ),
        )
        for each in refusals
    ]
    return _table(("reason", "dead letters", "what mends it, and an example"), rows)


def _unmapped(summary: Mapping[str, Any] | None, activity: Activity) -> str:
    segments = (summary or {}).get("unmapped_segments", ())
    if summary is None:
        segments = [
            {"segment": segment, "count": count, "resembles": None}
            for segment, count in activity.unmapped
        ]
    rows = [
        (
            f"<code>{escape(each['segment'])}</code>",
            f"{each['count']:,}",
            "" if each["resembles"] is None else f"meant {escape(each['resembles'])}?",
        )
        for each in segments
    ]
    return _table(("segment of no audience", "memberships", "perhaps"), rows)


def _mapping(mapping: Sequence[tuple[str, str, str]]) -> str:
    rows = [
        (escape(name), f"<code>{escape(segment)}</code>", f"<code>{escape(field)}</code>")
        for name, segment, field in mapping
    ]
    return _table(("audience", "segment", "field"), rows)


def _table(heads: Iterable[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; nothing where there are no rows."""
    if not rows:
        return ""
    heads = list(heads)
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    label = escape(", ".join(heads))
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
