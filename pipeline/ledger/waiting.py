"""What waits to be sent: one value a field, and one place in the queue a prospect."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.ledger.directory.entries import believed
from pipeline.ledger.history import know, no_longer, record
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import chunks, marks
from transforms.elements import SUPERSEDED, UNCHANGED, Change, Outcome
from transforms.fold import Held, Known, gather, remember, settle, weigh
from transforms.outreach.normalisation import is_same_value

ArrivedAt = Callable[[Change], int]
"""When a change arrived, in microseconds since the epoch."""
DIRECTORY = "directory"
"""The reason of what is unchanged by what the directory says."""


@dataclass(slots=True)
class Intake:
    """What one run of read, parse and map gave, and how it came in.

    Attributes:
      changes: mapped.
      outcomes: of those that ended there, such as values that fit no field.
      lane: of all of them.
      arrived_at: tells when each change arrived; None for when it is taken in.
    """

    changes: list[Change] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    lane: int = LIVE
    arrived_at: ArrivedAt | None = None


def take_in(
    connection: sqlite3.Connection,
    intake: Intake,
    now: int,
    hold_micros: int,
    believed_since: int | None = None,
) -> None:
    """Folds changes into what waits, within a transaction of the caller's.

    What a newer change overtakes, what is older than what its field holds, and what its field
    holds already gets its receipt here and now, and never costs a request.

    Args:
      connection: to the ledger.
      intake: of one run.
      now: microseconds since the epoch.
      hold_micros: after how long the prospects are due.
      believed_since: what the directory holds as of then or later is what Outreach holds; None to
        go by what was delivered alone.
    """
    held: dict[int, Held] = {}
    lost = gather(held, intake.changes)
    prospects = list(held)
    before = list(_waiting(connection, prospects))
    lost += gather(held, before)
    known = _known(connection, prospects)
    read = {} if believed_since is None else believed(connection, prospects, believed_since)
    _doubt_what_was_overwritten(connection, known, read)
    due: list[Change] = []
    unchanged: list[Change] = []
    so_already: list[Change] = []
    for outreach_id, slots in held.items():
        fields = known.setdefault(outreach_id, {})
        know(connection, remember(slots, fields), now)
        winners, behind = settle(slots)
        weighed = weigh(winners, fields)
        lost += behind + weighed.superseded
        due += weighed.due
        unchanged += weighed.unchanged
        if weighed.due and outreach_id in read:
            so_already += [each for each in weighed.due if _is_so(each, read[outreach_id][0])]
    if so_already:
        know(connection, so_already, now)
        spared = set(so_already)
        due = [change for change in due if change not in spared]
    _replace(connection, before, due, intake.arrived_at or (lambda _: now))
    _heed(connection, unchanged, now)
    _enqueue(connection, before, due, intake.lane, now, now + hold_micros)
    outcomes = [
        *intake.outcomes,
        Outcome(SUPERSEDED, lost, now),
        Outcome(UNCHANGED, unchanged, now),
        Outcome(UNCHANGED, so_already, now, reason=DIRECTORY),
    ]
    record(connection, [outcome for outcome in outcomes if outcome.changes])


def leave(connection: sqlite3.Connection, changes: Iterable[Change]) -> dict[Change, int]:
    """Has changes wait no longer, without an outcome, in a caller's transaction.

    Returns:
      Those that did, and when each arrived.
    """
    left = {change: at for change in changes if (at := no_longer(connection, change)) is not None}
    connection.executemany(
        "DELETE FROM queue WHERE outreach_id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM waiting WHERE outreach_id = ?1)",
        {(change.outreach_id,) for change in left},
    )
    return left


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


def _doubt_what_was_overwritten(
    connection: sqlite3.Connection,
    known: dict[int, dict[str, Known]],
    read: Mapping[int, tuple[Mapping[str, object], int]],
) -> None:
    """Stops trusting delivered values of fields that somebody has changed since."""
    some = [prospect for prospect in read if prospect in known]
    for part in chunks(some):
        for prospect, name, heard_at in connection.execute(
            "SELECT outreach_id, field, heard_at FROM known WHERE NOT doubted"
            f" AND outreach_id IN ({marks(part)})",
            part,
        ):
            fields, as_of = read[prospect]
            held = known[prospect][name]
            if (
                as_of > heard_at
                and name in fields
                and not is_same_value(name, orjson.loads(held.value), fields[name])
            ):
                known[prospect][name] = held._replace(value="")


def _is_so(change: Change, fields: Mapping[str, object]) -> bool:
    """Whether the directory says that a field holds what it is to hold."""
    return (
        not change.retry
        and change.field in fields
        and is_same_value(change.field, orjson.loads(change.value), fields[change.field])
    )


def _replace(
    connection: sqlite3.Connection,
    before: Sequence[Change],
    due: Sequence[Change],
    arrived_at: ArrivedAt,
) -> None:
    """Replaces what waits by what is due: adds what is new, removes what is no longer due."""
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
            (*change, arrived_at(change))
            for change in due
            if (change.outreach_id, change.field, change.change_id) not in waited
        ),
    )


def _heed(connection: sqlite3.Connection, unchanged: Iterable[Change], now: int) -> None:
    """Updates the time of an unchanged value, so that an older change does not undo it."""
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
