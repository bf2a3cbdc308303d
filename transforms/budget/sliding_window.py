"""How many requests were spent in the last hour, or in whatever span is counted."""

from __future__ import annotations

import struct
from collections import deque
from math import inf
from typing import Final, Self

_BUCKETS: Final = 360
_HEAD: Final = struct.Struct("<d")
_BUCKET: Final = struct.Struct("<dI")


class SlidingWindow:
    """Spends of the last `per_seconds`, kept in a few hundred buckets.

    A bucket is as young as its youngest spend and leaves as a whole. So a spend counts
    for `per_seconds` at least, and for at most a 360th of that too long.

    Attributes:
      per_seconds: how long a spend counts.
      spent: how many count, as of the last `advance`.
    """

    __slots__ = ("_buckets", "_opened", "_width", "per_seconds", "spent")

    def __init__(self, per_seconds: float) -> None:
        self.per_seconds = float(per_seconds)
        self.spent = 0
        self._width = self.per_seconds / _BUCKETS
        self._buckets: deque[tuple[float, int]] = deque()  # (youngest spend, spends)
        self._opened = -inf

    def advance(self, now: float) -> None:
        """Forgets what was spent `per_seconds` ago or earlier."""
        buckets = self._buckets
        while buckets and buckets[0][0] + self.per_seconds <= now:
            self.spent -= buckets.popleft()[1]

    def add(self, count: int, at: float) -> None:
        """Counts spends; where younger ones are counted already, as young as those."""
        self.spent += count
        buckets = self._buckets
        if buckets:
            youngest, others = buckets[-1]
            if at - self._opened < self._width or at < youngest:
                buckets[-1] = (max(at, youngest), others + count)
                return
        buckets.append((at, count))
        self._opened = at

    def rejuvenate(self, now: float) -> None:
        """After a clock was set back to `now`: spends later than that are counted as of now."""
        later = 0
        while self._buckets and self._buckets[-1][0] > now:
            later += self._buckets.pop()[1]
        self.spent -= later
        self._opened = -inf
        if later:
            self.add(later, now)

    def frees(self, count: int, now: float) -> float:
        """When so many spends will have left: at once for none, never for more than count."""
        at = now
        for youngest, spends in self._buckets:
            if count < 1:
                break
            count -= spends
            at = youngest + self.per_seconds
        return at if count < 1 else inf

    def even_rate(self, free: int, now: float) -> float:
        """The highest rate, a second, at which what is free lasts until more leaves; for a window.

        Args:
          free: what may be spent now.
          now: as of the last `advance`.
        """
        lowest = inf
        for youngest, spends in self._buckets:
            after = youngest + self.per_seconds - now
            if after > 0:
                lowest = min(lowest, free / after)
            free += spends
        return min(lowest, free / self.per_seconds)

    def dump(self) -> bytes:
        """All that `load` needs: 8 bytes, and 12 a bucket."""
        return _HEAD.pack(self._opened) + b"".join(
            _BUCKET.pack(*bucket) for bucket in self._buckets
        )

    @classmethod
    def load(cls, dumped: bytes, per_seconds: float) -> Self:
        """A window that holds what another held, perhaps of another length.

        Raises:
          ValueError: these are not the bytes of a dump.
        """
        window = cls(per_seconds)
        try:
            (window._opened,) = _HEAD.unpack_from(dumped)
            window._buckets.extend(_BUCKET.iter_unpack(dumped[_HEAD.size :]))
        except struct.error as error:
            raise ValueError("a window that was cut short") from error
        window.spent = sum(count for _, count in window._buckets)
        return window
