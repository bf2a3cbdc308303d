"""What waits to be sent: one value a field, one place in the queue a prospect."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.ledger.history import record
from pipeline.ledger.inbox import BACKFILL, LIVE
from transforms.elements import SUPERSEDED, UNCHANGED, Change, Outcome, Patch
from transforms.fold import Held, Known, gather, settle, weigh

_VARIABLES = 30_000
_UNHELD = (
    " AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.outreach_id = q.outreach_id AND NOT EXISTS"
    " (SELECT 1 FROM held WHERE held.segment = w.segment AND held.released_at IS NULL))"
)


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


class Turns(NamedTuple):
    """Prospects whose turn it is.

    Attributes:
      patches: what each is to be sent.
      backfill: how many of them are of the backfill.
    """

    patches: list[Patch]
    backfill: int


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
        winners, behind = settle(slots)
        weighed = weigh(winners, known.setdefault(outreach_id, {}))
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


def next_turns(
    connection: sqlite3.Connection, user: str, most: int, now: int, owed: int = 0
) -> Turns:
    """The prospects of a user whose turn it is, with what each is to be sent as of now.

    Live before backfill, and within a lane by the time they are due.

    Args:
      connection: to the ledger.
      user: the user's name.
      most: how many prospects.
      now: microseconds since the epoch.
      owed: of them, how many are of the backfill even if live ones wait.
    """
    holding = _is_any_held(connection)
    live = _turns(connection, user, LIVE, most, now, holding)
    share = max(min(owed, most), most - len(live))
    backfill = _turns(connection, user, BACKFILL, share, now, holding)
    turns = live[: most - len(backfill)] + backfill
    changes: dict[int, list[Change]] = {outreach_id: [] for outreach_id, _, _ in turns}
    for change in _waiting(connection, list(changes), unheld=holding):
        changes[change.outreach_id].append(change)
    patches = [
        Patch(outreach_id, user, changes[outreach_id], attempts, troubled_since)
        for outreach_id, attempts, troubled_since in turns
        if changes[outreach_id]
    ]
    return Turns(patches, len(backfill))


def postpone(connection: sqlite3.Connection, patches: Iterable[Patch]) -> None:
    """Has those who met trouble wait for their time, within the caller's transaction.

    Others that were not sent keep their places.
    """
    connection.executemany(
        "UPDATE queue SET due_at = max(due_at, ?), attempts = ?, troubled_since = ?"
        " WHERE outreach_id = ?",
        (
            (patch.not_before, patch.attempts, patch.troubled_since, patch.outreach_id)
            for patch in patches
        ),
    )


def next_due(connection: sqlite3.Connection, user: str) -> int | None:
    """When the next prospect of a user is due that is not held; None where none waits."""
    unheld = _UNHELD if _is_any_held(connection) else ""
    found = [
        row[0]
        for lane in (LIVE, BACKFILL)
        for row in connection.execute(
            f"SELECT due_at FROM queue AS q WHERE user = ? AND lane = ?{unheld}"
            " ORDER BY due_at LIMIT 1",
            (user, lane),
        )
    ]
    return min(found, default=None)


def is_backlog(connection: sqlite3.Connection, user: str, now: int, least: int) -> bool:
    """Whether at least so many prospects are due in the first lane where any is."""
    for lane in (LIVE, BACKFILL):
        (due,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM queue WHERE user = ? AND lane = ? AND due_at <= ?"
            " LIMIT ?)",
            (user, lane, now, least),
        ).fetchone()
        if due:
            return bool(due >= least)
    return False


def resume(
    connection: sqlite3.Connection,
    users: Iterable[str],
    user_of: Callable[[int], str],
    now: int,
    latest: int,
) -> None:
    """Sets right what a process before this one left, within the caller's transaction.

    The destination may name other users by now, and what waited for one that is gone goes by
    another. The clock may have been set back, and nobody is to wait for a time that was never
    meant.

    Args:
      connection: to the ledger.
      users: all that the destination names.
      user_of: by whom a prospect goes.
      now: microseconds since the epoch, as is `latest`.
      latest: nobody has to wait for longer.
    """
    named = list(users)
    stray = connection.execute(
        f"SELECT outreach_id FROM queue WHERE user NOT IN ({_marks(named)})", named
    ).fetchall()
    moved = [(user_of(outreach_id), outreach_id) for (outreach_id,) in stray]
    for table in ("queue", "waiting"):
        connection.executemany(f"UPDATE {table} SET user = ? WHERE outreach_id = ?", moved)
    connection.execute("UPDATE queue SET due_at = ?1 WHERE due_at > ?1", (latest,))
    connection.execute("UPDATE queue SET troubled_since = ?1 WHERE troubled_since > ?1", (now,))


def prospects(connection: sqlite3.Connection) -> dict[str, int]:
    """How many prospects wait, by user."""
    return dict(connection.execute("SELECT user, count(*) FROM queue GROUP BY user"))


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


def _is_any_held(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT 1 FROM held WHERE released_at IS NULL LIMIT 1").fetchone()
    return row is not None


def _turns(
    connection: sqlite3.Connection, user: str, lane: int, most: int, now: int, holding: bool
) -> list[tuple[int, int, int | None]]:
    return connection.execute(
        "SELECT outreach_id, attempts, troubled_since FROM queue AS q"
        f" WHERE user = ? AND lane = ? AND due_at <= ?{_UNHELD if holding else ''}"
        " ORDER BY due_at LIMIT ?",
        (user, lane, now, most),
    ).fetchall()


def _waiting(
    connection: sqlite3.Connection, prospects: Sequence[int], *, unheld: bool = False
) -> Iterable[Change]:
    only = (
        " AND NOT EXISTS (SELECT 1 FROM held WHERE held.segment = waiting.segment"
        " AND held.released_at IS NULL)"
        if unheld
        else ""
    )
    for some in _chunks(prospects):
        for row in connection.execute(
            "SELECT change_id, outreach_id, user, field, value, segment, namespace, origin,"
            " event_time, sequence, retry FROM waiting"
            f" WHERE outreach_id IN ({_marks(some)}){only}",
            some,
        ):
            yield Change._make((*row[:-1], bool(row[-1])))


def _known(connection: sqlite3.Connection, prospects: Sequence[int]) -> dict[int, dict[str, Known]]:
    known: dict[int, dict[str, Known]] = {}
    for some in _chunks(prospects):
        for outreach_id, name, *rest in connection.execute(
            # What is doubted is newer than what came before, and equal to nothing.
            "SELECT outreach_id, field, iif(doubted, '', value), event_time, sequence FROM known"
            f" WHERE outreach_id IN ({_marks(some)})",
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


def _chunks(prospects: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(prospects), _VARIABLES):
        yield prospects[start : start + _VARIABLES]


def _marks(some: Sequence[object]) -> str:
    return ",".join("?" * len(some))
