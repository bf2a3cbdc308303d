"""The sources of messages, and when each sent its last one."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Source(NamedTuple):
    """A subscription, or a source of the door.

    Attributes:
      name: as the inbox has it.
      last_hour: messages received.
      last_day: messages received.
      waiting: messages that are not taken in yet.
      last_at: when the latest was received, in microseconds since the epoch.
    """

    name: str
    last_hour: int
    last_day: int
    waiting: int
    last_at: int


def read_sources(connection: sqlite3.Connection, now: float) -> list[Source]:
    """Reads the sources of whose messages the ledger still knows, by name.

    Args:
      connection: to a ledger.
      now: seconds since the epoch.
    """
    hour, day = round((now - 3_600) * 1e6), round((now - 86_400) * 1e6)
    return [
        Source(*row)
        for row in connection.execute(
            "SELECT source, sum(received_at >= ?), sum(received_at >= ?), sum(body NOT NULL),"
            " max(received_at) FROM inbox GROUP BY source",
            (hour, day),
        )
    ]
