"""The latest receipts of a ledger, and what became of changes in the last hour, day and week."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import orjson

from pipeline.ledger.queries.snapshot_reader import outcomes_since
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
    named = {"outreach_id": outreach_id, "segment": segment, "outcome": outcome}
    given = {name: value for name, value in named.items() if value is not None}
    where = " AND ".join(f"{name} = ?" for name in given) or "1"
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
                f" http_status, user, recorded_at FROM receipts WHERE {where}"
                " ORDER BY id DESC LIMIT ?",
                (*given.values(), min(most, MOST)),
            )
        )
    ]
