"""Reading from a ledger how things stand, whoever works on it meanwhile.

Each question is answered from an index, so that a million waiting changes cost a fraction of a
second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from pipeline.ledger.guard import holds
from pipeline.ledger.queries.org import read_org
from pipeline.ledger.queries.snapshot import Alert, Lane, Snapshot, User, Waiting
from transforms.budget.budget import Budget
from transforms.budget.forecast import granted_at
from transforms.budget.terms import BudgetTerms
from transforms.elements import OUTCOMES

LATELY_SECONDS: Final = 3600.0
ERRORS: Final = 10
"""How many of the last dead letters are shown."""


def read_snapshot(connection: sqlite3.Connection, now: float) -> Snapshot:
    """Reads all of it in one transaction.

    Args:
      connection: see `pipeline.ledger.store.looked_at`.
      now: seconds since the epoch.
    """
    connection.execute("BEGIN")
    try:
        waiting = read_waiting(connection)
        messages, oldest_message_at = _messages(connection)
        return Snapshot(
            at=now,
            waiting=waiting,
            users=_users(connection, waiting, now),
            names=audience_names(connection),
            held=holds(connection),
            messages=messages,
            oldest_message_at=oldest_message_at,
            lately=outcomes_since(connection, now - LATELY_SECONDS),
            errors=_errors(connection),
            alerts=[
                Alert(kind, subject, text, since / 1e6)
                for kind, subject, text, since in connection.execute(
                    "SELECT kind, subject, text, since FROM alerts WHERE over_at IS NULL"
                    " ORDER BY since"
                )
            ],
            totals=dict(
                connection.execute(
                    "SELECT name, count FROM totals WHERE name NOT LIKE 'unmapped/%' ORDER BY name"
                )
            ),
            org=read_org(connection),
        )
    finally:
        connection.execute("COMMIT")


def read_waiting(connection: sqlite3.Connection) -> list[Waiting]:
    """What waits by audience and user, oldest first."""
    return [
        Waiting(segment, user, changes, oldest / 1e6)
        for segment, user, changes, oldest in connection.execute(
            "SELECT segment, user, count(*), min(received_at) AS oldest FROM waiting"
            " GROUP BY segment, user ORDER BY oldest"
        )
    ]


def outcomes_since(connection: sqlite3.Connection, since: float) -> dict[str, int]:
    """How many changes came to each outcome since a time."""
    # One walk along the index: grouping would sort what may be a million.
    sums = ", ".join(f"coalesce(sum(outcome = '{name}'), 0)" for name in OUTCOMES)
    counts = connection.execute(
        f"SELECT {sums} FROM receipts WHERE recorded_at >= ?", (round(since * 1e6),)
    ).fetchone()
    return dict(zip(OUTCOMES, counts, strict=True))


def _users(connection: sqlite3.Connection, waiting: Sequence[Waiting], now: float) -> list[User]:
    lanes: dict[str, list[Lane]] = {}
    for user, lane, prospects, oldest in connection.execute(
        "SELECT user, lane, count(*), min(since) FROM queue GROUP BY user, lane"
    ):
        lanes.setdefault(user, []).append(Lane(user, lane, prospects, oldest / 1e6))
    changes: dict[str, int] = {}
    for each in waiting:
        changes[each.user] = changes.get(each.user, 0) + each.changes
    rows = {
        name: rest
        for name, *rest in connection.execute(
            "SELECT name, budget, requests, per_seconds, reserve, paused, paused_at FROM users"
        )
        if rest[1] is not None or name in lanes
    }
    return [
        _user(name, lanes.get(name, ()), changes.get(name, 0), rows.get(name, [None] * 6), now)
        for name in sorted({*rows, *lanes})
    ]


def _user(name: str, lanes: Sequence[Lane], changes: int, row: Sequence[Any], now: float) -> User:
    dump, requests, per_seconds, reserve, paused, paused_at = row
    since = None if paused_at is None else paused_at / 1e6
    if requests is None:
        return User(name, None, 0, 0, None, paused, since, None, lanes, changes)
    terms = BudgetTerms(requests, per_seconds, reserve)
    budget = load(dump, terms)
    available = budget.available(now)
    _, more_seconds = load(dump, terms).take(available + 1, now)
    prospects = sum(lane.prospects for lane in lanes)
    # Those in flight are among the waiting until they are answered, and paid for.
    empty_at = granted_at(load(dump, terms), max(0, prospects - budget.in_flight), now)
    return User(
        name,
        budget.allowance,
        available,
        budget.withheld(now),
        None if available >= budget.allowance else now + more_seconds,
        paused,
        since,
        None if paused else empty_at,
        lanes,
        changes,
    )


def load(dump: bytes | None, terms: BudgetTerms) -> Budget:
    """A budget to look at; one of another release says nothing, and so counts as whole."""
    try:
        return Budget(terms) if dump is None else Budget.load(dump, terms)
    except ValueError:
        return Budget(terms)


def audience_names(connection: sqlite3.Connection) -> dict[str, str]:
    """What the audiences are called, by segment."""
    return dict(
        connection.execute("SELECT segment, group_concat(name, ' and ') FROM audiences GROUP BY 1")
    )


def _messages(connection: sqlite3.Connection) -> tuple[int, float | None]:
    lanes = connection.execute(
        "SELECT count(*), min(place) FROM inbox WHERE body IS NOT NULL GROUP BY lane"
    ).fetchall()
    if not lanes:
        return 0, None
    first = min(place for _, place in lanes)
    (oldest,) = connection.execute(
        "SELECT received_at FROM inbox WHERE place = ?", (first,)
    ).fetchone()
    return sum(count for count, _ in lanes), oldest / 1e6


def _errors(connection: sqlite3.Connection) -> list[Mapping[str, Any]]:
    return [
        orjson.loads(line)
        for (line,) in connection.execute(
            "SELECT line FROM dead_letters ORDER BY id DESC LIMIT ?", (ERRORS,)
        )
    ]
