"""Batches of bulk actions: planned, on their way, read back; each step durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.ledger.bulk.members import NOT_BATCHED, members
from pipeline.ledger.store import marks
from transforms.elements import CLEARED

PLANNED, CREATED, CONFIRMED, ENDED = "planned", "created", "confirmed", "ended"
SETTLED, RELEASED = "settled", "released"
BULK = "bulk"
"""The reason in the receipts of what a batch delivered."""
OPEN = (PLANNED, CREATED, CONFIRMED, ENDED)


class LedgerBatch(NamedTuple):
    """A batch. Times are microseconds since the epoch.

    Attributes:
      number: ours.
      user: by whom.
      field: that is set.
      value: JSON text.
      state: one of `OPEN`, or `SETTLED`, or `RELEASED`.
      batch_id: Outreach's; None before it was created.
      prospects: how many it was for.
      kept: that held the value when they were read back.
      gone: that were not there any more.
      failures: that Outreach says could not be changed.
      was_read: whether it was looked who holds the value already.
      planned_at: when.
      changed_at: when it came into its state.
      note: what went wrong; None for nothing.
    """

    number: int
    user: str
    field: str
    value: str
    state: str
    batch_id: int | None
    prospects: int
    kept: int
    gone: int
    failures: int
    was_read: bool
    planned_at: int
    changed_at: int
    note: str | None


class Group(NamedTuple):
    """Changes that wait for one field and one value."""

    field: str
    value: str
    prospects: int


def groups(
    connection: sqlite3.Connection, user: str, now: int, least: int, never: Sequence[str]
) -> list[Group]:
    """What waits for a user and is worth a batch, the largest first.

    Whoever met trouble goes alone, and so does what was refused before: its refusal is to be told.

    Args:
      connection: to the ledger.
      user: the user's name.
      now: microseconds since the epoch.
      least: prospects of a batch.
      never: fields that are no matter of batches.
    """
    return [
        Group(*row)
        for row in connection.execute(
            "SELECT w.field, w.value, count(*) FROM queue AS q JOIN waiting AS w"
            f" ON w.outreach_id = q.outreach_id WHERE {_WAITS}"
            f" AND w.field NOT IN ({marks(never)}) GROUP BY w.field, w.value"
            " HAVING count(*) >= ? ORDER BY 3 DESC",
            (user, now, *never, least),
        )
    ]


def plan(
    connection: sqlite3.Connection, user: str, group: Group, most: int, now: int
) -> LedgerBatch:
    """Puts prospects of a group into a batch, within the caller's transaction.

    Args:
      connection: to the ledger.
      user: the user's name.
      group: as of `groups`.
      most: prospects of a batch.
      now: microseconds since the epoch.
    """
    cursor = connection.execute(
        "INSERT INTO batches (user, field, value, state, prospects, planned_at, changed_at)"
        " VALUES (?1, ?2, ?3, 'planned', 0, ?4, ?4)",
        (user, group.field, group.value, now),
    )
    number = cursor.lastrowid
    connection.execute(
        "INSERT INTO batch_members (outreach_id, field, number, change_id)"
        " SELECT w.outreach_id, w.field, ?, w.change_id FROM queue AS q JOIN waiting AS w"
        f" ON w.outreach_id = q.outreach_id WHERE {_WAITS} AND w.field = ? AND w.value = ?"
        " ORDER BY w.outreach_id LIMIT ?",
        (number, user, now, group.field, group.value, most),
    )
    connection.execute(
        "UPDATE batches SET prospects = (SELECT count(*) FROM batch_members"
        " WHERE batch_members.number = batches.number) WHERE number = ?",
        (number,),
    )
    return _batches(connection, "number = ?", (number,))[0]


_WAITS = (
    "q.user = ? AND q.due_at <= ? AND q.attempts = 0"
    f" AND (NOT w.retry OR w.origin LIKE '{CLEARED}%')"
    " AND NOT EXISTS (SELECT 1 FROM held WHERE held.segment = w.segment"
    f" AND held.released_at IS NULL){NOT_BATCHED}"
)


def open_batches(connection: sqlite3.Connection, user: str) -> list[LedgerBatch]:
    """A user's batches that are not settled, the oldest first."""
    return _batches(connection, "user = ? AND state NOT IN ('settled', 'released')", (user,))


def latest(connection: sqlite3.Connection, most: int) -> list[LedgerBatch]:
    """The latest batches of all users, newest first."""
    return _batches(connection, "1", (), f"DESC LIMIT {most}")


def is_proved(connection: sqlite3.Connection, user: str) -> bool:
    """Whether a batch of this user's came out right, in this ledger."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE user = ? AND state = 'settled'"
        " AND note IS NULL AND kept > 0 AND kept + gone + failures >= prospects)",
        (user,),
    ).fetchone()
    return bool(row[0])


def set_state(
    connection: sqlite3.Connection,
    number: int,
    state: str,
    now: int,
    *,
    batch_id: int | None = None,
    failures: int = 0,
    note: str | None = None,
) -> None:
    """Notes how far a batch is, within the caller's transaction."""
    connection.execute(
        "UPDATE batches SET state = ?2, changed_at = ?3, batch_id = coalesce(?4, batch_id),"
        " note = coalesce(?5, note), failures = failures + ?6 WHERE number = ?1",
        (number, state, now, batch_id, note, failures),
    )


def mark_read(connection: sqlite3.Connection, number: int) -> None:
    """Notes that it was looked who holds the value already, within the caller's transaction."""
    connection.execute("UPDATE batches SET was_read = 1 WHERE number = ?", (number,))


def release(connection: sqlite3.Connection, number: int, now: int, note: str | None = None) -> None:
    """Gives up a batch, within the caller's transaction; its changes wait as before."""
    connection.execute("DELETE FROM batch_members WHERE number = ?", (number,))
    set_state(connection, number, RELEASED, now, note=note)


def settle(connection: sqlite3.Connection, user: str, now: int) -> list[LedgerBatch]:
    """Ends batches of which nobody is left, within the caller's transaction; returns them."""
    done = [
        each
        for each in open_batches(connection, user)
        if each.state == ENDED and not members(connection, each.number)
    ]
    for each in done:
        set_state(connection, each.number, SETTLED, now)
    return done


def _batches(
    connection: sqlite3.Connection, where: str, values: Sequence[object], order: str = ""
) -> list[LedgerBatch]:
    return [
        LedgerBatch._make((*row[:10], bool(row[10]), *row[11:]))
        for row in connection.execute(
            f"SELECT {', '.join(LedgerBatch._fields)} FROM batches WHERE {where}"
            f" ORDER BY number {order}",
            values,
        )
    ]
