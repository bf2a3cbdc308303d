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
