"""What one source may send, and how long whoever fails to sign in waits; no clock, no I/O."""

from __future__ import annotations

from collections import OrderedDict

FREE_FAILURES = 3
"""Failed sign-ins of one address that are answered at once."""
LONGEST_SECONDS = 5.0
FORGOTTEN_SECONDS = 300.0
"""After so long without another, failures of an address are forgotten."""
ADDRESSES = 10_000
"""Addresses whose failures are remembered, the latest of them."""


class RateLimit:
    """Lets so many requests a second through, and a second's worth at once.

    Args:
      per_second: requests; None for as many as come.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second or 1.0)
        self._left = self._most
        self._at = 0.0

    def wait(self, now: float) -> float:
        """Counts a request; returns 0 where it may pass, else seconds until one may."""
        if self._per_second is None:
            return 0.0
        gained = max(0.0, now - self._at) * self._per_second
        self._left = min(self._most, self._left + gained)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._per_second


class FailedSignIns:
    """How often each address failed of late, and how long it is kept waiting for that.

    Attributes:
      count: of all that ever failed.
    """

    def __init__(self) -> None:
        self.count = 0
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, address: str, now: float) -> float:
        """Notes a failure; returns the seconds after which it is to be answered."""
        self.count += 1
        failures, at = self._failures.pop(address, (0, now))
        failures = 1 if now - at > FORGOTTEN_SECONDS else failures + 1
        self._failures[address] = (failures, now)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)
        over = failures - FREE_FAILURES
        return 0.0 if over <= 0 else min(LONGEST_SECONDS, 0.25 * 2.0 ** min(over, 8))

    def admitted(self, address: str) -> None:
        """Forgets the failures of an address that has signed in."""
        self._failures.pop(address, None)
