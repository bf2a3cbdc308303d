"""When to spend a budget evenly: while more keeps coming than any window takes.

What fits is best sent at once. A stream that never fits is not: spent as early as may be, the
budget is gone long before its window ends, and all that comes until then waits for one moment. The
next window repeats that, since spends leave a window as they came. So where requests keep coming in
faster than the budget comes free, what is left of the window is spread over what is left of its
time.
"""

from __future__ import annotations

import struct
from collections import deque
from itertools import islice
from math import ceil, isnan, nan
from typing import Final, Self

from transforms.budget.budget import Budget

_PARTS_OF_WINDOW: Final = 60
_PARTS: Final = 5
"""A minute of an hour's window, and five of them: for so long more has to come in than fits."""
_LEAST_OF_RATE: Final = 0.5
"""In none of them less than this part of the budget's rate."""
_EBB_PARTS: Final = 2
"""After so many with less than that, on the average, the stream has ended."""
_EBB_EXPECTED: Final = 40
"""Or after more of them, until so many requests would have come in: of few, chance makes fewer."""
_GATHERING: Final = 1 / 90
"""For so long a part of a window requests gather at most: less than the minute of an hour after
which one has to go alone, see `Budget.needs_probe`."""
_REACHED_SECONDS: Final = 0.001
"""So near, a time has come: timers are set to whole microseconds, or milliseconds."""
_DUMP: Final = struct.Struct("<B?ddd")
_DUMP_VERSION: Final = 1
_COUNT: Final = struct.Struct("<I")


class EvenPace:
    """Tells how many requests of a budget may be spent at an instant; has no clock of its own.

    It begins to spend evenly when requests came in for five minutes, on the average faster than
    the budget's rate (five sixtieths, of a window that is not an hour). It ends when nothing
    waits any more, when they hardly come in for two minutes (up to five, of a small budget),
    and while more waits than a whole window takes: that has to wait for windows, however it is
    spent, and takes the fewest if it is sent at once.

    Every ``now`` is in epoch seconds.

    Args:
      budget: whose requests are spent.

    Attributes:
      is_even: whether it is spent evenly, as of what was last told.
    """

    def __init__(self, budget: Budget) -> None:
        self.is_even = False
        self._budget = budget
        self._part = float(budget.terms.per_seconds) / _PARTS_OF_WINDOW
        # What came in; the last part is under way.
        self._parts: deque[int] = deque([0], maxlen=_PARTS + 1)
        self._part_began: float | None = None
        self._since = 0.0  # from when on the requests of the even rate are not spent

    @property
    def part_seconds(self) -> float:
        """How often `note` is to be called at least, while anything waits."""
        return self._part

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
        last = whole[-max(_EBB_PARTS, ceil(_EBB_EXPECTED / even)) :]
        ebbs = sum(last) < even * _LEAST_OF_RATE * len(last)
        if not waiting or waiting >= self._budget.allowance or ebbs:
            self.is_even = False
        elif not self.is_even and len(whole) == _PARTS:
            self.is_even = sum(whole) > even * _PARTS and min(whole) >= even * _LEAST_OF_RATE
            self._since = now  # What was free before was spent as it came.

    def gathered(self, most: int) -> int:
        """So many requests, or fewer, may well gather before some are spent: `least` elsewhere."""
        return max(1, min(most, int(self._budget.allowance * _GATHERING)))

    def take(self, wanted: int, now: float, least: int = 1) -> tuple[int, float]:
        """Takes requests of the budget, as many of them as may be spent now.

        Args:
          wanted: requests, at most.
          now: when.
          least: none are taken until so many may be spent, as far as evenness goes.

        Returns:
          How many were granted; and, where none were, the seconds after which to ask again.
        """
        allowed = self.allowed(now, least)
        if self.is_even:
            wait_seconds = self.next_at(now, least) - now
            if wait_seconds > _REACHED_SECONDS:
                return 0, wait_seconds
            wanted = min(wanted, max(1, allowed))
        granted, wait_seconds = self._budget.take(wanted, now)
        self.spent(granted, now)
        return granted, wait_seconds

    def give_back(self, count: int, now: float) -> None:
        """Notes that so many of the requests that were taken are not sent."""
        rate = self._budget.even_rate(now) if self.is_even else 0.0
        if rate > 0.0:
            self._since -= count / rate

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
        self._since = max(self._since, now - max(self._part, 2 * least / rate))
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

    def dump(self) -> bytes:
        """All that `load` needs, some fifty bytes."""
        began = nan if self._part_began is None else self._part_began
        head = _DUMP.pack(_DUMP_VERSION, self.is_even, self._part, began, self._since)
        return head + b"".join(_COUNT.pack(count) for count in self._parts)

    @classmethod
    def load(cls, dumped: bytes, budget: Budget) -> Self:
        """A pace that goes on where another stopped; a new one where the window is another.

        Raises:
          ValueError: this is no dump of a version that is known.
        """
        try:
            version, is_even, part, began, since = _DUMP.unpack_from(dumped)
            counts = [count for (count,) in _COUNT.iter_unpack(dumped[_DUMP.size :])]
        except struct.error as error:
            raise ValueError("not a pace, or one that was cut short") from error
        if version != _DUMP_VERSION:
            raise ValueError("a pace that another version has written")
        pace = cls(budget)
        if part == pace._part and counts:
            pace.is_even, pace._since = is_even, since
            pace._part_began = None if isnan(began) else began
            pace._parts = deque(counts, maxlen=_PARTS + 1)
        return pace

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
