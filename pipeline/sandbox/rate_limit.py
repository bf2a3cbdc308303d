"""One user's budget of requests, as Outreach counts it.

10,000 requests an hour and user, announced in three headers; whether the hour is fixed
or sliding is stated nowhere, so all readings are here. No clock: ``now`` is epoch
seconds.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

from pipeline.sandbox.options import WindowKind

_BUCKETS = 240
"""Points of the plot that a window is drawn with."""


class BudgetStatus(NamedTuple):
    """Where a user's budget stands after one request was counted.

    Attributes:
      allowed: whether the request fits the budget.
      remaining: requests left.
      reset: epoch seconds at which the budget next grows.
      over: whether this client alone has now asked for more than the limit within
        some window's length, whatever the server would have let through.
    """

    allowed: bool
    remaining: int
    reset: float
    over: bool


WINDOWS_SHOWN = 4
"""Windows of which a user's plot shows what was spent."""


class Usage(NamedTuple):
    """One point of a user's plot: what happened in a 240th of a window."""

    at: float
    own: int
    foreign: int
    refused: int
    remaining: int


class Allowance:
    """Counts one user's requests against the limit."""

    def __init__(self, limit: int, window_seconds: float, kind: WindowKind) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._kind = kind
        self._opened = float("-inf")
        self._used = 0
        self._spends: deque[tuple[float, int]] = deque()
        self._asked: deque[float] = deque()
        self._usage: deque[Usage] = deque(maxlen=_BUCKETS * WINDOWS_SHOWN)

    def spend(self, now: float) -> BudgetStatus:
        """Counts one request of the client under test."""
        self._roll(now)
        allowed = self._used < self.limit
        if allowed:
            self._count(1, now)
        self._asked.append(now)
        standing = BudgetStatus(
            allowed, self.limit - self._used, self._reset(now), len(self._asked) > self.limit
        )
        self._note(now, own=int(allowed), refused=int(not allowed))
        return standing

    def spend_elsewhere(self, requests: int, now: float) -> int:
        """Counts what the user's other tools spend; returns how much of it fitted."""
        self._roll(now)
        fitting = max(0, min(requests, self.limit - self._used))
        if fitting:
            self._count(fitting, now)
            self._note(now, foreign=fitting)
        return fitting

    def remaining(self, now: float) -> int:
        """Requests left at this instant."""
        self._roll(now)
        return self.limit - self._used

    def reset(self, now: float) -> float:
        """Epoch seconds at which the budget next grows."""
        self._roll(now)
        return self._reset(now)

    def usage(self, now: float) -> list[Usage]:
        """The last windows' points, oldest first; spans in which nothing happened are absent."""
        since = now - self.window_seconds * WINDOWS_SHOWN
        return [point for point in self._usage if point.at > since]

    def _roll(self, now: float) -> None:
        past = now - self.window_seconds
        while self._asked and self._asked[0] <= past:
            self._asked.popleft()
        if self._kind == "sliding":
            while self._spends and self._spends[0][0] <= past:
                self._used -= self._spends.popleft()[1]
        elif now >= self._opened + self.window_seconds:
            self._used = 0
            aligned = now - now % self.window_seconds
            self._opened = aligned if self._kind == "clock" else float("-inf")

    def _count(self, requests: int, now: float) -> None:
        self._used += requests
        if self._kind == "sliding":
            self._spends.append((now, requests))
        elif self._opened == float("-inf"):
            self._opened = now

    def _reset(self, now: float) -> float:
        if self._kind == "sliding":
            oldest = self._spends[0][0] if self._spends else now
        else:
            oldest = max(self._opened, now - self.window_seconds)
        return oldest + self.window_seconds

    def _note(self, now: float, own: int = 0, foreign: int = 0, refused: int = 0) -> None:
        width = self.window_seconds / _BUCKETS
        at = now - now % width
        point = Usage(at, own, foreign, refused, self.limit - self._used)
        last = self._usage[-1] if self._usage else None
        if last is not None and last.at == at:
            self._usage[-1] = Usage(
                at,
                last.own + own,
                last.foreign + foreign,
                last.refused + refused,
                point.remaining,
            )
        else:
            self._usage.append(point)


def headers(standing: BudgetStatus, limit: int) -> dict[str, str]:
    """The three headers of every counted answer.

    Remaining carries two values, as production has been seen to: the hour's, then that
    of a second allowance of which nothing more is known than that it is about twice as
    large.
    """
    second = standing.remaining + limit - 11
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": f"{standing.remaining}, {max(0, second)}",
        "X-RateLimit-Reset": str(ceil(standing.reset)),
    }


def too_many(standing: BudgetStatus, limit: int) -> tuple[str, str]:
    """The detail text and the Retry-After of a 429.

    Outreach documents Retry-After as an alias of X-RateLimit-Reset: an instant, not a
    delay. The instant in the text has no zone; it is UTC.
    """
    reset = ceil(standing.reset)
    instant = datetime.fromtimestamp(reset, UTC).replace(tzinfo=None).isoformat()
    detail = (
        f"You have exceeded your permitted rate limit of {limit:,}; please try again at {instant}."
    )
    return detail, str(reset)
