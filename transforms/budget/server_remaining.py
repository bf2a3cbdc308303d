"""How many requests the server says are left, made safe against answers that overlap."""

from __future__ import annotations

from collections import deque
from math import inf


class ServerRemaining:
    """The least that the server can have left for us now, by its own answers.

    An answer does not count the requests that the server had yet to see. Of all requests
    that were answered, one was the last that the server saw: it is the newest answered, or
    one of those answered since that was sent. So the lowest count among these holds for
    all that were answered, and leaves out at most those without an answer. It is exact
    where a request goes alone, and again as soon as nothing is in flight.

    Attributes:
      left: by the answers, before what is in flight is taken off; means nothing from `until` on.
      until: when the server starts afresh, as far as it told.
    """

    __slots__ = ("_last_untold", "_since", "_told", "_untold", "left", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = -inf
        # (number of the answer, what it said is left, until when), lowest first: an answer
        # is dropped when a newer one says less.
        self._told: deque[tuple[int, int, float]] = deque()
        self._since = 0
        self._untold = 0
        self._last_untold = 0

    def hear(self, left: int, until: float, now: float, *, answer: int, sent_after: int) -> None:
        """An answer said what is left.

        Args:
          left: requests, as of when the server saw this one.
          until: when it starts afresh.
          now: when the answer came.
          answer: its number, counted from 1.
          sent_after: the number of the last answer when its request was sent.
        """
        told = self._told
        while told and told[-1][1] >= left:
            told.pop()
        told.append((answer, left, until))
        self._since = max(self._since, sent_after)
        while len(told) > 1 and (told[0][0] <= self._since or told[0][2] <= now):
            told.popleft()
        if self._since >= self._last_untold:
            self._untold = 0
        _, lowest, self.until = told[0]
        self.left = lowest - self._untold

    def miss(self, answer: int, count: int = 1) -> None:
        """Requests ended, the last as number `answer`, without a word on what is left.

        The server may have seen them after all that did say something, so they count as seen
        then, until one that was sent later is answered.
        """
        self.left -= count
        self._untold += count
        self._last_untold = answer


def reset_at(reset: float | None, now: float, per_seconds: float) -> float:
    """Returns when the server's window ends: as it said, or after a whole window at the latest.

    Args:
      reset: epoch seconds, as an answer named them; None where it named none.
      now: when the answer came.
      per_seconds: the length of the window.
    """
    # A reset in whole seconds, rounded down, may have passed by a part of one.
    if reset is None or not now - 1.0 < reset <= now + per_seconds + 1.0:
        return now + per_seconds
    return reset if reset > now else reset + 1.0
