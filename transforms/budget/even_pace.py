"""When to spend a budget evenly: while more keeps coming than any window takes.

What fits is best sent at once. A stream that never fits is not: spent as early as may be, the
budget is gone long before its window ends, and all that comes until then waits for one moment. The
next window repeats that, since spends leave a window as they came. So where requests keep coming in
faster than the budget comes free, what is left of the window is spread over what is left of its
time.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from transforms.budget.budget import Budget

_PARTS_OF_WINDOW: Final = 60
_PARTS: Final = 5
"""A minute of an hour's window, and five of them: for so long more has to come in than fits."""
_LEAST_OF_RATE: Final = 0.5
"""In none of them less than this part of the budget's rate."""
_EBB_PARTS: Final = 2
"""After so many with less than that, on the average, the stream has ended."""


class EvenPace:
    """Tells how many requests of a budget may be spent at an instant; has no clock of its own.

    It begins to spend evenly when requests came in for five minutes, on the average faster than the
    budget's rate (five sixtieths, of a window that is not an hour). It ends when nothing waits any
    more, when they hardly come in for two minutes, and while more waits than a whole window takes:
    that has to wait for windows, however it is spent, and takes the fewest if it is sent at once.

    Every ``now`` is in epoch seconds.

    Args:
      budget: whose requests are spent.

    Attributes:
      is_even: whether it is spent evenly, as of what was last told.
    """

    def __init__(self, budget: Budget) -> None:
        self.is_even = False
        self._budget = budget
        self._part = budget.terms.per_seconds / _PARTS_OF_WINDOW
        # What came in; the last part is under way.
        self._parts: deque[int] = deque([0], maxlen=_PARTS + 1)
        self._part_began: float | None = None
        self._since = 0.0  # from when on the requests of the even rate are not spent

    def note(self, came: int, waiting: int, now: float) -> None:
        """Notes how the queue stands.

        Args:
          came: requests that wait now and did not when this was last called.
          waiting: all requests that wait.
          now: when.
        """
        self._advance(now)
        self._parts[-1] += came
        even = self._budget.allowance / _PARTS_OF_WINDOW
        whole = list(islice(self._parts, len(self._parts) - 1))
        last = whole[-_EBB_PARTS:]
        ebbs = sum(last) < even * _LEAST_OF_RATE * len(last)
        if not waiting or waiting >= self._budget.allowance or ebbs:
            self.is_even = False
        elif not self.is_even and len(whole) == _PARTS:
            self.is_even = sum(whole) > even * _PARTS and min(whole) >= even * _LEAST_OF_RATE
            self._since = now  # What was free before was spent as it came.

    def allowed(self, now: float, least: int = 1) -> int:
        """How many requests may be spent now: all that are free, where it is not even.

        Args:
          now: when.
          least: so many may gather at any rate before some are spent.
        """
        free = self._budget.available(now)
        if not self.is_even:
            return free
        rate = self._budget.even_rate(now)
        if rate <= 0.0:
            return 0
        self._since = max(self._since, now - max(self._part, (least + 1) / rate))
        return min(free, int((now - self._since) * rate))

    def next_at(self, now: float, least: int = 1) -> float:
        """When so many will be allowed, as far as evenness goes."""
        rate = self._budget.even_rate(now) if self.is_even else 0.0
        return max(now, self._since + least / rate) if rate > 0.0 else now

    def spent(self, count: int, now: float) -> None:
        """Notes that so many requests were spent since `allowed` was asked."""
        rate = self._budget.even_rate(now) if self.is_even else 0.0
        if rate > 0.0:
            self._since = min(now, self._since + count / rate)

    def _advance(self, now: float) -> None:
        began = self._part_began
        if began is None or now < began or now >= began + (_PARTS + 1) * self._part:
            # Nothing was told for long, or the clock was set back: it is not known what came.
            self._parts.clear()
            self._parts.append(0)
            self._part_began = now
            return
        while now >= began + self._part:
            self._parts.append(0)
            began += self._part
        self._part_began = began
