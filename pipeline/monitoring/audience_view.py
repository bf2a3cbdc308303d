"""What became of each audience, for a person at a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipeline.console.formatting import lasted
from pipeline.ledger.queries.freshness import Freshness
from pipeline.monitoring.counts import Counted

_ROWS: Final = 25
"""Rows shown; `--json` has all."""
_SHOWN: Final = ("delivered", "unchanged", "superseded", "rejected")


def as_json(counted: Counted) -> list[dict[str, Any]]:
    """One object for each audience and attribute, by field."""
    return [
        {
            **each._asdict(),
            "outcomes": dict(each.outcomes),
            "freshness": _freshness(counted.freshness.get(each.segment or "")),
        }
        for each in counted.activity.audiences
    ]


def tables(
    counted: Counted,
) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    """A title, a header and rows, as `pipeline.monitoring.status_view` shows them."""
    rows: list[Sequence[str]] = []
    for each in counted.activity.audiences[:_ROWS]:
        fresh = counted.freshness.get(each.segment or "")
        rows.append(
            (
                each.name,
                each.field,
                f"{each.members:,}" if each.segment else "",
                *(f"{each.outcomes.get(kind, 0):,}" for kind in _SHOWN),
                f"{each.waiting:,}",
                "" if fresh is None else f"{lasted(fresh.p50)} / {lasted(fresh.p99)}",
            )
        )
    header = ("audience", "field", "members", *_SHOWN, "waiting", "p50 / p99")
    yield ("Audiences (p50 / p99: from arrival to delivery)", header, rows)


def _freshness(found: Freshness | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()
