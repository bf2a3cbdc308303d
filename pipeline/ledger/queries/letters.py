"""Dead letters of a ledger: listed, and put into the inbox again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from pipeline.ledger.inbox import LIVE, Message, receive

SOURCE = "dead letters"
"""What the inbox calls letters that were put into it again."""
_AT_ONCE = 1_000


def letters(
    connection: sqlite3.Connection, reason: str | None = None
) -> Iterator[tuple[int, bytes]]:
    """The id and the line of each dead letter, oldest first; of one reason, or of all."""
    yield from connection.execute(
        "SELECT id, line FROM dead_letters WHERE ?1 IS NULL OR reason = ?1 ORDER BY id", (reason,)
    )


def letters_after(
    connection: sqlite3.Connection, after: int, until: int, reason: str | None = None
) -> tuple[int, list[bytes]]:
    """Some of the lines in a span of ids, and the id of the last of them; oldest first.

    Args:
      connection: to a ledger.
      after: an id; those with a greater one are given.
      until: the last id that is.
      reason: of the letters; None for all.
    """
    rows = connection.execute(
        "SELECT id, line FROM dead_letters WHERE id > ?1 AND id <= ?2"
        " AND (?3 IS NULL OR reason = ?3) ORDER BY id LIMIT ?4",
        (after, until, reason, _AT_ONCE),
    ).fetchall()
    return (rows[-1][0] if rows else until), [line for _, line in rows]


def retry(connection: sqlite3.Connection, now: int, reason: str | None = None) -> int:
    """Puts dead letters into the inbox, for the job to take them in again; returns how many.

    One that was put there before is not put there twice, for as long as the inbox knows its id.

    Args:
      connection: to a ledger.
      now: microseconds since the epoch.
      reason: of the letters; None for all.
    """
    put, some = 0, []
    for number, line in letters(connection, reason):
        some.append(Message(SOURCE, f"retry {number}", now + number, LIVE, line))
        if len(some) == _AT_ONCE:
            put += receive(connection, some, now)
            some = []
    return put + (receive(connection, some, now) if some else 0)
