"""What conditions of the destination kept out of prospects' fields last, for `explain`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from transforms.elements import Exclusion


class LastExclusion(NamedTuple):
    """What was kept out last; times in microseconds since the epoch.

    Attributes:
      what: the segment, or the attribute's path.
      status: of the membership; empty for an attribute.
      detail: what did not hold.
      event_time: None if it had none.
      recorded_at: when that was.
    """

    what: str
    status: str
    detail: str
    event_time: int | None
    recorded_at: int


def put(connection: sqlite3.Connection, excluded: Iterable[Exclusion], now: int) -> None:
    """Notes what was kept out, within the caller's transaction; the last of each audience stays."""
    connection.executemany(
        "INSERT OR REPLACE INTO exclusions"
        " (prospect, what, status, detail, event_time, recorded_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            (each.prospect, each.what, each.status, each.detail, each.event_time, now)
            for each in excluded
        ),
    )


def of_prospect(connection: sqlite3.Connection, names: Sequence[str]) -> list[LastExclusion]:
    """What was kept out of a prospect last, by its id and by what it is known by."""
    return [
        LastExclusion(*row)
        for name in names
        for row in connection.execute(
            "SELECT what, status, detail, event_time, recorded_at FROM exclusions"
            " WHERE prospect = ? ORDER BY what",
            (name,),
        )
    ]


def prune(connection: sqlite3.Connection, before: int, most: int) -> None:
    """Removes what is older, some rows at a time."""
    connection.execute(
        "DELETE FROM exclusions WHERE (prospect, what) IN (SELECT prospect, what FROM exclusions"
        " WHERE recorded_at < ? LIMIT ?)",
        (before, most),
    )
