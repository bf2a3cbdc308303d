"""Changes that wait for their prospect to be found by its address or external id."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pipeline.ledger.store import marks
from transforms.elements import Change, Unresolved

_COLUMNS = (
    "change_id",
    "field",
    "value",
    "segment",
    "namespace",
    "origin",
    "event_time",
    "sequence",
    "retry",
)
_AT_ONCE = 10_000


class WaitingKey(NamedTuple):
    """A key that changes wait for.

    Attributes:
      key: an address, an external id or another.
      received_at: when the last of its changes came, in microseconds since the epoch.
      looked_at: when it was last asked for; None for never.
      gone: the prospect that had it and is no more; None where that is not known.
      spelling: of the key in one of the records; empty where it is the key itself.
    """

    key: str
    received_at: int
    looked_at: int | None
    gone: int | None
    spelling: str


class WaitingChange(NamedTuple):
    """A change that waits for its prospect.

    Attributes:
      row: its place.
      key: of its prospect.
      lane: that it came in.
      gone: the prospect that the key was known for before, which is no more; None for none.
      change: with 0 for its OutreachId.
      spelling: of the key in its record; empty where it is the key itself.
      arrived_at: when the change arrived, in microseconds since the epoch.
    """

    row: int
    key: str
    lane: int
    gone: int | None
    change: Change
    spelling: str
    arrived_at: int


def put(
    connection: sqlite3.Connection,
    unresolved: Iterable[Unresolved],
    lane: int,
    now: int,
    gone: int | None = None,
    arrived_at: Callable[[Change], int] | None = None,
) -> None:
    """Has changes wait, within the caller's transaction.

    Args:
      connection: to the ledger.
      unresolved: by key.
      lane: that they came in.
      now: microseconds since the epoch.
      gone: the prospect that was found before and is no more.
      arrived_at: tells when each change arrived; None for now.
    """
    columns = ("key", "spelling", "lane", "received_at", "gone", "arrived_at", *_COLUMNS)
    connection.executemany(
        f"INSERT INTO unresolved ({', '.join(columns)}) VALUES ({marks(columns)})",
        (
            (
                each.key,
                each.spelling,
                lane,
                now,
                gone,
                now if arrived_at is None else arrived_at(change),
                *(getattr(change, name) for name in _COLUMNS),
            )
            for each in unresolved
            for change in each.changes
        ),
    )


def count(connection: sqlite3.Connection) -> int:
    """Changes that wait for their prospect."""
    (found,) = connection.execute("SELECT count(*) FROM unresolved").fetchone()
    return int(found)


def is_any_waiting(connection: sqlite3.Connection, some: Iterable[object]) -> bool:
    """Whether changes wait for any of some keys; OutreachIds among them wait for nothing."""
    return any(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM unresolved WHERE key = ?)", (key,)
        ).fetchone()[0]
        for key in some
        if isinstance(key, str)
    )


def keys(connection: sqlite3.Connection, after: str = "") -> list[WaitingKey]:
    """Keys that changes wait for, some at a time, in their order."""
    return [
        WaitingKey(*row)
        for row in connection.execute(
            "SELECT key, max(received_at), max(looked_at), max(gone), max(spelling) FROM unresolved"
            " WHERE key > ? GROUP BY key ORDER BY key LIMIT ?",
            (after, _AT_ONCE),
        )
    ]


def looked(connection: sqlite3.Connection, some: Sequence[str], now: int | None) -> None:
    """Notes when keys were asked for, within the caller's transaction; None for never."""
    connection.executemany(
        "UPDATE unresolved SET looked_at = ? WHERE key = ?", ((now, key) for key in some)
    )


def of_key(connection: sqlite3.Connection, key: str) -> list[WaitingChange]:
    """The changes that wait for one key, in the order of arrival."""
    return list(_read(connection, [key]))


def take(connection: sqlite3.Connection, some: Sequence[str]) -> list[WaitingChange]:
    """The changes of some keys; they wait no longer, within the caller's transaction."""
    found = list(_read(connection, some))
    connection.executemany("DELETE FROM unresolved WHERE id = ?", ((each.row,) for each in found))
    return found


def take_field(connection: sqlite3.Connection, field: str, value: str) -> list[WaitingChange]:
    """The changes of a field to a value, JSON text; they wait no longer, as of `take`."""
    keys = connection.execute(
        "SELECT DISTINCT key FROM unresolved WHERE field = ? AND value = ?", (field, value)
    ).fetchall()
    found = [
        each
        for each in _read(connection, [key for (key,) in keys])
        if (each.change.field, each.change.value) == (field, value)
    ]
    connection.executemany("DELETE FROM unresolved WHERE id = ?", ((each.row,) for each in found))
    return found


def _read(connection: sqlite3.Connection, some: Sequence[str]) -> list[WaitingChange]:
    found: list[WaitingChange] = []
    for start in range(0, len(some), _AT_ONCE):
        part = some[start : start + _AT_ONCE]
        for row, key, spelling, lane, gone, arrived_at, *rest in connection.execute(
            "SELECT id, key, spelling, lane, gone, coalesce(arrived_at, received_at),"
            f" {', '.join(_COLUMNS)} FROM unresolved WHERE key IN ({marks(part)}) ORDER BY id",
            part,
        ):
            values = dict(zip(_COLUMNS, rest, strict=True))
            values["retry"] = bool(values["retry"])
            change = Change(outreach_id=0, user="", **values)
            found.append(WaitingChange(row, key, lane, gone, change, spelling, arrived_at))
    return found
