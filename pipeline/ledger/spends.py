"""Requests that each user spent, by minute; a budget itself knows only its window."""

from __future__ import annotations

import sqlite3
from typing import Final

from transforms.budget.budget import Budget

MINUTE: Final = 60_000_000
"""In microseconds."""
_AGAIN: Final = 2
"""Minutes that are written again each time: a transaction may have come to nothing."""


class Spends:
    """Counts one user's requests by minute, for one process.

    A request counts in the minute in which its end is written down, which is seconds after it.
    What an earlier process left unanswered counts when it is first noted here, as in the budget.

    Args:
      user: the user's name.
      now: seconds since the epoch; tells this process from others.
    """

    def __init__(self, user: str, now: float) -> None:
        self._user = user
        self._began = round(now * 1e6)
        self._counted = 0
        self._minutes: dict[int, int] = {}

    def note(self, connection: sqlite3.Connection, budget: Budget, now: float) -> None:
        """Writes down what came to its end, within the caller's transaction.

        Args:
          connection: to the ledger.
          budget: the user's, as this process loaded it.
          now: seconds since the epoch.
        """
        minute = int(now // 60)
        more = budget.answers - self._counted
        if more:
            self._minutes[minute] = self._minutes.get(minute, 0) + more
            self._counted = budget.answers
        latest = sorted(self._minutes)[-_AGAIN:]
        self._minutes = {each: self._minutes[each] for each in latest}
        withheld = budget.withheld(now)
        connection.executemany(
            "INSERT INTO spends (user, minute, began, requests, withheld)"
            " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET requests = ?4,"
            " withheld = iif(minute = ?6, ?5, withheld)",
            [
                (self._user, each, self._began, requests, withheld, minute)
                for each, requests in self._minutes.items()
            ],
        )
