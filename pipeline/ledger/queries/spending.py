"""What each Outreach user spent of its budget, over time."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.ledger.users import live_share

HOUR_MINUTES: Final = 60


class Spending(NamedTuple):
    """One user's requests in spans of equal length.

    Attributes:
      user: the user's name.
      began: of the first span, in seconds since the epoch.
      span_minutes: how long each is.
      requests: that ended in each span.
      windows: of each span, the most that ended in one window of the budget up to a minute of it.
      withheld: of each span, how many Outreach allowed fewer at most than our own count would
        have: others spent them, or it answered 429.
      limit: requests that the terms allow in a window; None where the destination does not name
        the user any more.
      reserve: of those, left to the user's other tools.
      backfill: of what is left, how many a backfill may spend; the rest is the live share.
      window_minutes: the length of the budget's window; 0 where it is less than one minute.
    """

    user: str
    began: int
    span_minutes: int
    requests: Sequence[int]
    windows: Sequence[int]
    withheld: Sequence[int]
    limit: int | None
    reserve: int
    backfill: int
    window_minutes: int

    @property
    def allowance(self) -> int:
        """Requests that may be spent in a window."""
        return (self.limit or 0) - self.reserve


def read_spending(
    connection: sqlite3.Connection, began: float, ended: float, most: int = HOUR_MINUTES
) -> list[Spending]:
    """Spends of each user that has terms, or spent something; by name.

    Args:
      connection: to a ledger.
      began: of the first minute that is told of, in seconds since the epoch.
      ended: of the last one.
      most: spans; each is one minute, or as many as are needed.
    """
    first, last = int(began // 60), int(ended // 60)
    share = live_share(connection)
    users = connection.execute(
        "SELECT name, requests, coalesce(per_seconds, 3600.0), coalesce(reserve, 0) FROM users"
        " ORDER BY name"
    ).fetchall()
    length = -(-(last - first + 1) // most)
    found: list[Spending] = []
    for user, limit, per_seconds, reserve in users:
        allowance = (limit or 0) - reserve
        window = int(per_seconds // 60)
        # One walk along the primary key: grouping all users would look at all that is kept.
        minutes = {
            minute: (spent, less)
            for minute, spent, less in connection.execute(
                "SELECT minute, sum(requests), max(withheld) FROM spends"
                " WHERE user = ? AND minute > ? AND minute <= ? GROUP BY minute",
                (user, first - max(window, 1), last),
            )
        }
        if limit is None and not minutes:
            continue
        requests, windows, withheld = _spans(minutes, first, last, length, window)
        found.append(
            Spending(
                user,
                first * 60,
                length,
                requests,
                windows,
                withheld,
                limit,
                reserve,
                max(0, allowance - math.ceil(share * allowance)),
                window,
            )
        )
    return found


def _spans(
    minutes: dict[int, tuple[int, int]], first: int, last: int, length: int, window: int
) -> tuple[list[int], list[int], list[int]]:
    count = -(-(last - first + 1) // length)
    requests, windows, withheld = [0] * count, [0] * count, [0] * count
    sliding = sum(minutes.get(each, (0, 0))[0] for each in range(first - window, first))
    for minute in range(first, last + 1):
        spent, less = minutes.get(minute, (0, 0))
        sliding += spent - minutes.get(minute - window, (0, 0))[0]
        span = (minute - first) // length
        requests[span] += spent
        windows[span] = max(windows[span], sliding)
        withheld[span] = max(withheld[span], less)
    return requests, windows, withheld
