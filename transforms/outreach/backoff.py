"""How long no request is sent to a server in trouble; no clock, no I/O.

Times are seconds since the epoch, passed by the caller.
"""

from __future__ import annotations

import math
import random

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MOST_SECONDS = 60.0
PAUSED_SECONDS = 60.0
"""How often a paused user's credential is tried again."""
HOLD_MOST_SECONDS = 3600.0
"""However long a server asks to be left alone, so often it is asked again."""


class CircuitBreaker:
    """Backoff state of one user: consecutive failures, and until when no request may be sent.

    One prospect may be the cause of its own trouble, so a single request that meets some holds
    nothing up. Many in a row are the server's: then requests go one at a time, and rarely.

    Args:
      enough: troubles in a row that are taken for the server's own.

    Attributes:
      held_until: no request is to be sent before.
      held_for: why not.
      last_trouble: what was met last.
      troubled_since: when the first of the troubles in a row was met; None where there are none.
    """

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._troubles = 0
        self.held_until = -math.inf
        self.held_for = ""
        self.last_trouble = ""
        self.troubled_since: float | None = None

    def held_after(self, now: float) -> float:
        """Until when no request may be sent from now on; 0 where one may."""
        return self.held_until if self.held_until > now else 0.0

    @property
    def exhausted(self) -> bool:
        """Whether requests are to go one at a time: so many met trouble."""
        return self._troubles >= self._enough

    def restore(self) -> None:
        """A request was answered as it should be."""
        self._troubles = 0
        self.troubled_since = None

    def meet(self, what: str, now: float, retry_at: float | None = None) -> None:
        """A request met trouble, perhaps of its prospect's own making.

        Args:
          what: was met, for people.
          now: when.
          retry_at: when the server wants to be asked again, if it said so.
        """
        self._note(what, now)
        self._troubles += 1
        if self.exhausted:
            self._hold(retry_time(self._troubles - self._enough, now, retry_at), what)

    def refrain(self, what: str, now: float, retry_at: float | None = None) -> None:
        """There is trouble whatever is asked, such as maintenance; arguments as of `meet`."""
        self._note(what, now)
        if now >= self.held_until:  # else those that were in flight meet the same once more
            self._troubles = max(self._troubles + 1, self._enough)
        told = retry_at is not None and retry_at > now
        until = now if told else now + jitter(self._troubles - self._enough)
        self._hold(until if retry_at is None else max(until, _bounded(retry_at, now)), what)

    def _note(self, what: str, now: float) -> None:
        self.last_trouble = what
        if self.troubled_since is None:
            self.troubled_since = now

    def _hold(self, until: float, why: str) -> None:
        if until > self.held_until:
            self.held_until, self.held_for = until, why


def retry_time(attempts: int, now: float, retry_at: float | None) -> float:
    """When to try again what has met trouble so often in a row."""
    until = now + jitter(attempts)
    return until if retry_at is None else max(until, _bounded(retry_at, now))


def jitter(attempts: int) -> float:
    """Seconds to wait: anything up to a time that doubles, so that not all come back at once."""
    most = min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(attempts, 16))
    return random.uniform(0.0, most)


def _bounded(retry_at: float, now: float) -> float:
    return min(retry_at, now + HOLD_MOST_SECONDS)
