"""Whose turn it is: of the prospects with something to send, those that are due."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pipeline.ledger.bulk.members import NOT_BATCHED, is_any
from pipeline.ledger.directory import accounts
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.store import marks
from pipeline.ledger.waiting import change_of, columns_of
from transforms.elements import Change, Patch

_NOT_HELD = (
    " AND NOT EXISTS (SELECT 1 FROM held WHERE held.segment = w.segment"
    " AND held.released_at IS NULL)"
)
_ACCOUNT_KNOWN = (
    " AND NOT EXISTS (SELECT 1 FROM waiting AS a WHERE a.outreach_id = w.outreach_id"
    " AND a.field = 'account_domain' AND a.value <> 'null' AND NOT EXISTS (SELECT 1"
    " FROM account_domains AS d WHERE d.domain = json_extract(a.value, '$')))"
)


class Turns(NamedTuple):
    """Prospects whose turn it is.

    Attributes:
      patches: what each is to be sent.
      backfill: how many of them are of the backfill.
    """

    patches: list[Patch]
    backfill: int


def next_turns(
    connection: sqlite3.Connection,
    user: str,
    most: int,
    now: int,
    owed: int = 0,
    most_backfill: int | None = None,
) -> Turns:
    """The prospects of a user whose turn it is, with what each is to be sent as of now.

    Live before backfill. Of a lane those that have been due for longest, in the order of arrival.

    Args:
      connection: to the ledger.
      user: the user's name.
      most: how many prospects.
      now: microseconds since the epoch.
      owed: of them, how many are of the backfill even if live ones wait.
      most_backfill: of them, how many may be of the backfill at all; None for any number.
    """
    free = _free(connection)
    live = _turns(connection, user, LIVE, most, now, free)
    share = max(min(owed, most), most - len(live))
    if most_backfill is not None:
        share = min(share, most_backfill)
    backfill = _turns(connection, user, BACKFILL, share, now, free)
    return Turns(live[: most - len(backfill)] + backfill, len(backfill))


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


def next_due(
    connection: sqlite3.Connection, user: str, lanes: Sequence[int] = (LIVE, BACKFILL)
) -> int | None:
    """When the next prospect of a user is due that is not held; None where none waits."""
    any_free = _has_any(_free(connection))
    found = [
        row[0]
        for lane in lanes
        for row in connection.execute(
            f"SELECT due_at FROM queue AS q WHERE user = ? AND lane = ?{any_free}"
            " ORDER BY due_at LIMIT 1",
            (user, lane),
        )
    ]
    return min(found, default=None)


def is_live_due(connection: sqlite3.Connection, user: str, now: int) -> bool:
    """Whether any prospect of a user's is due that is not of the backfill."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE user = ? AND lane = ? AND due_at <= ?)",
        (user, LIVE, now),
    ).fetchone()
    return bool(row[0])


def is_backlog(connection: sqlite3.Connection, user: str, now: int, least: int) -> bool:
    """Whether at least so many prospects are due in the first lane where any is."""
    for lane in (LIVE, BACKFILL):
        if due := count_due(connection, user, lane, now, least):
            return due >= least
    return False


def count_due(connection: sqlite3.Connection, user: str, lane: int, now: int, most: int) -> int:
    """How many prospects of a user are due in a lane; counts no further than `most`."""
    (due,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM queue WHERE user = ? AND lane = ? AND due_at <= ?"
        " LIMIT ?)",
        (user, lane, now, most),
    ).fetchone()
    return int(due)


def resume(
    connection: sqlite3.Connection,
    users: Iterable[str],
    user_of: Callable[[int], str],
    now: int,
    soon: int,
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
      now: microseconds since the epoch, as are `soon` and `latest`.
      soon: when whoever arrives now is due; by then also what arrived by a clock that was later.
      latest: nobody has to wait for longer.
    """
    named = list(users)
    stray = connection.execute(
        f"SELECT outreach_id FROM queue WHERE user NOT IN ({marks(named)})", named
    ).fetchall()
    moved = [(user_of(outreach_id), outreach_id) for (outreach_id,) in stray]
    for table in ("queue", "waiting"):
        connection.executemany(f"UPDATE {table} SET user = ? WHERE outreach_id = ?", moved)
    connection.execute("UPDATE queue SET due_at = ?1 WHERE due_at > ?1", (latest,))
    connection.execute(
        "UPDATE queue SET since = ?1, due_at = min(due_at, ?2) WHERE since > ?1", (now, soon)
    )
    connection.execute("UPDATE waiting SET received_at = ?1 WHERE received_at > ?1", (now,))
    connection.execute("UPDATE queue SET troubled_since = ?1 WHERE troubled_since > ?1", (now,))


def prospects(connection: sqlite3.Connection) -> dict[str, int]:
    """How many prospects wait, by user."""
    return dict(connection.execute("SELECT user, count(*) FROM queue GROUP BY user"))


def troubled_since(connection: sqlite3.Connection) -> dict[str, int]:
    """Since when the first of those who wait has met nothing but trouble, by user.

    Of users whose requests do; in microseconds since the epoch.
    """
    return dict(
        connection.execute(
            "SELECT user, min(troubled_since) FROM queue WHERE troubled_since NOT NULL"
            " GROUP BY user"
        )
    )


def _free(connection: sqlite3.Connection) -> str:
    """Of ``waiting AS w``, the fields that may be sent: neither held, nor in a batch.

    Nor are those of a prospect whose account is still to be found.
    """
    held = _NOT_HELD if _is_any_held(connection) else ""
    known = _ACCOUNT_KNOWN if accounts.is_any_waiting(connection) else ""
    return held + known + (NOT_BATCHED if is_any(connection) else "")


def _has_any(free: str) -> str:
    """Of ``queue AS q``, the prospects that have such a field."""
    if not free:
        return ""
    return f" AND EXISTS (SELECT 1 FROM waiting AS w WHERE w.outreach_id = q.outreach_id{free})"


def _is_any_held(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT 1 FROM held WHERE released_at IS NULL LIMIT 1").fetchone()
    return row is not None


def _turns(
    connection: sqlite3.Connection, user: str, lane: int, most: int, now: int, free: str
) -> list[Patch]:
    changes: dict[int, list[Change]] = {}
    trouble: dict[int, tuple[int, int | None]] = {}
    for row in connection.execute(
        f"SELECT {columns_of('w')}, q.attempts, q.troubled_since FROM (SELECT * FROM queue AS q"
        f" WHERE user = ? AND lane = ? AND due_at <= ?{_has_any(free)}"
        " ORDER BY due_at LIMIT ?) AS q JOIN waiting AS w ON w.outreach_id = q.outreach_id"
        f"{free}",
        (user, lane, now, most),
    ):
        *told, attempts, troubled_since = row
        change = change_of(told)
        changes.setdefault(change.outreach_id, []).append(change)
        trouble[change.outreach_id] = (attempts, troubled_since)
    patches = [Patch(each, user, changes[each], *trouble[each]) for each in changes]
    return sorted(patches, key=lambda patch: min(change.sequence for change in patch.changes))
