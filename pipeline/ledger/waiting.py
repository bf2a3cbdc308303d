"""What waits to be sent: one value a field, and one place in the queue a prospect."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.ledger.history import know, record
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import chunks, marks
from transforms.elements import SUPERSEDED, UNCHANGED, Change, Outcome
from transforms.fold import Held, Known, gather, remember, settle, weigh


@dataclass(slots=True)
class Intake:
    """What one run of read, parse and map gave, and how it came in.

    Attributes:
      changes: mapped.
      outcomes: of those that ended there, such as values that fit no field.
      lane: of all of them.
    """

    changes: list[Change] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    lane: int = LIVE


def take_in(connection: sqlite3.Connection, intake: Intake, now: int, hold_micros: int) -> None:
    """Folds changes into what waits, within a transaction of the caller's.

    What a newer change overtakes, what is older than what its field holds, and what its field
    holds already gets its receipt here and now, and never costs a request.
    """
    held: dict[int, Held] = {}
    lost = gather(held, intake.changes)
    prospects = list(held)
    before = list(_waiting(connection, prospects))
    lost += gather(held, before)
    known = _known(connection, prospects)
    due: list[Change] = []
    unchanged: list[Change] = []
    for outreach_id, slots in held.items():
        fields = known.setdefault(outreach_id, {})
        know(connection, remember(slots, fields), now)
        winners, behind = settle(slots)
        weighed = weigh(winners, fields)
        lost += behind + weighed.superseded
        due += weighed.due
        unchanged += weighed.unchanged
    _replace(connection, before, due, now)
    _heed(connection, unchanged, now)
    _enqueue(connection, before, due, intake.lane, now, now + hold_micros)
    outcomes = [
        *intake.outcomes,
        Outcome(SUPERSEDED, lost, now),
        Outcome(UNCHANGED, unchanged, now),
    ]
    record(connection, [outcome for outcome in outcomes if outcome.changes])


def last_sequence(connection: sqlite3.Connection) -> int:
    """The latest place in the order of publication of all that waits or is known; at least 0."""
    (last,) = connection.execute(
        "SELECT max((SELECT coalesce(max(sequence), 0) FROM waiting),"
        " (SELECT coalesce(max(sequence), 0) FROM known))"
    ).fetchone()
    return int(last)


def count(connection: sqlite3.Connection) -> int:
    """Changes that wait."""
    (found,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
    return int(found)


def _waiting(connection: sqlite3.Connection, prospects: Sequence[int]) -> Iterable[Change]:
    for some in chunks(prospects):
        yield from map(
            change_of,
            connection.execute(
                f"SELECT {columns_of('w')} FROM waiting AS w WHERE outreach_id IN ({marks(some)})",
                some,
            ),
        )


def change_of(row: Sequence[Any]) -> Change:
    """A change from a row of `columns_of`."""
    return Change._make((*row[:-1], bool(row[-1])))


def columns_of(table: str) -> str:
    """The columns of `waiting` that make a change, for a query that calls it so."""
    return ", ".join(f"{table}.{name}" for name in Change._fields)


def _known(connection: sqlite3.Connection, prospects: Sequence[int]) -> dict[int, dict[str, Known]]:
    known: dict[int, dict[str, Known]] = {}
    for some in chunks(prospects):
        for outreach_id, name, *rest in connection.execute(
            # What is doubted is newer than what came before, and equal to nothing.
            "SELECT outreach_id, field, iif(doubted, '', value), event_time, sequence FROM known"
            f" WHERE outreach_id IN ({marks(some)})",
            some,
        ):
            known.setdefault(outreach_id, {})[name] = Known(*rest)
    return known


def _replace(
    connection: sqlite3.Connection, before: Sequence[Change], due: Sequence[Change], now: int
) -> None:
    """What waits is now what is due: what is new comes in, and what is not due any more goes."""
    waited = {(change.outreach_id, change.field, change.change_id) for change in before}
    stays = {(change.outreach_id, change.field, change.change_id) for change in due}
    connection.executemany(
        "DELETE FROM waiting WHERE outreach_id = ? AND field = ? AND change_id = ?",
        waited - stays,
    )
    connection.executemany(
        "INSERT INTO waiting (change_id, outreach_id, user, field, value, segment, namespace,"
        " origin, event_time, sequence, retry, received_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (*change, now)
            for change in due
            if (change.outreach_id, change.field, change.change_id) not in waited
        ),
    )


def _heed(connection: sqlite3.Connection, unchanged: Iterable[Change], now: int) -> None:
    """What is unchanged is news all the same: something older must not undo it."""
    connection.executemany(
        "UPDATE known SET event_time = ?, sequence = ?, heard_at = ?"
        " WHERE outreach_id = ? AND field = ?",
        (
            (change.event_time, change.sequence, now, change.outreach_id, change.field)
            for change in unchanged
        ),
    )


def _enqueue(
    connection: sqlite3.Connection,
    before: Iterable[Change],
    due: Iterable[Change],
    lane: int,
    now: int,
    due_at: int,
) -> None:
    users = {change.outreach_id: change.user for change in due}
    connection.executemany(
        "INSERT INTO queue (outreach_id, user, lane, since, due_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (outreach_id) DO UPDATE SET user = excluded.user,"
        " lane = min(lane, excluded.lane)",
        ((outreach_id, user, lane, now, due_at) for outreach_id, user in users.items()),
    )
    waited = {change.outreach_id for change in before}
    connection.executemany(
        "DELETE FROM queue WHERE outreach_id = ?",
        ((outreach_id,) for outreach_id in waited - users.keys()),
    )
