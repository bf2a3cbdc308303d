"""The latest receipts of a ledger, and what became of changes in the last hour, day and week."""

from __future__ import annotations

import sqlite3
from heapq import nlargest
from typing import Any, Final

import orjson

from pipeline.ledger import kinds
from pipeline.ledger.queries.snapshot_reader import outcomes_since
from pipeline.ledger.store import marks
from transforms.elements import OUTCOMES
from transforms.times import format_time

SPANS: Final = {"hour": 3_600.0, "day": 86_400.0, "week": 7 * 86_400.0}
"""What the funnel looks back on, in seconds."""
MOST: Final = 200


def funnel(connection: sqlite3.Connection, now: float) -> dict[str, dict[str, int]]:
    """Of each span what was received, and what became of it; with what waits now, it adds up.

    Args:
      connection: to a ledger.
      now: seconds since the epoch.
    """
    (waiting,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
    found: dict[str, dict[str, int]] = {}
    for name, seconds in SPANS.items():
        outcomes = outcomes_since(connection, now - seconds)
        found[name] = {"received": sum(outcomes.values()) + waiting, **outcomes, "waiting": waiting}
    return found


def latest(
    connection: sqlite3.Connection,
    *,
    outreach_id: int | None = None,
    segment: str | None = None,
    outcome: str | None = None,
    most: int = 50,
) -> list[dict[str, Any]]:
    """The latest receipts, newest first; of one prospect, audience or outcome where that is named.

    Args:
      connection: to a ledger.
      outreach_id: the prospect.
      segment: the audience's.
      outcome: one of `transforms.elements.OUTCOMES`; others give nothing.
      most: how many.
    """
    if outcome is not None and outcome not in OUTCOMES:
        return []
    most = min(most, MOST)
    if outreach_id is not None:
        ids = _of_prospect(connection, outreach_id, segment, outcome, most)
    elif segment is not None or outcome is not None:
        ids = _of_kind(connection, segment, outcome, most)
    else:
        ids = _ids(connection, "SELECT id FROM receipts ORDER BY id DESC LIMIT ?", most)
    return [
        {
            "change_id": change_id,
            "outreach_id": prospect or None,
            "segment": of,
            "field": field,
            "value": orjson.loads(value),
            "outcome": ended,
            "reason": reason,
            "detail": detail,
            "http_status": status,
            "user": user,
            "recorded_at": format_time(at),
        }
        for change_id, prospect, of, field, value, ended, reason, detail, status, user, at in (
            connection.execute(
                "SELECT change_id, outreach_id, segment, field, value, outcome, reason, detail,"
                f" http_status, user, recorded_at FROM receipts WHERE id IN ({marks(ids)})"
                " ORDER BY id DESC",
                ids,
            )
        )
    ]


def _ids(connection: sqlite3.Connection, query: str, *values: object) -> list[int]:
    return [found for (found,) in connection.execute(query, values)]


def _of_prospect(
    connection: sqlite3.Connection,
    outreach_id: int,
    segment: str | None,
    outcome: str | None,
    most: int,
) -> list[int]:
    # By its own index, as it has few: SQLite would take one of two columns to be the narrower.
    return _ids(
        connection,
        "SELECT id FROM receipts INDEXED BY receipts_prospect WHERE outreach_id = ?1"
        " AND (?2 IS NULL OR segment = ?2) AND (?3 IS NULL OR outcome = ?3)"
        " ORDER BY id DESC LIMIT ?4",
        outreach_id,
        segment,
        outcome,
        most,
    )


def _of_kind(
    connection: sqlite3.Connection, segment: str | None, outcome: str | None, most: int
) -> list[int]:
    """The newest of an audience, of an outcome, or of both; however rare these are.

    A walk back from the newest would read all receipts where there are few.
    """
    query = "SELECT id FROM receipts WHERE kind = ? ORDER BY id DESC LIMIT ?"
    found: list[int] = []
    for kind in kinds.matching(connection, segment, outcome):
        found += _ids(connection, query, kind, most)
    return nlargest(most, found)
