"""How many requests a user may spend, in which span, and how many are left to others."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from transforms.budget.shards import share


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """How many requests a user may spend, and how many of them are left to others.

    Attributes:
      requests: the server's limit; Outreach documents 10,000.
      per_seconds: the length of the window it holds for; Outreach documents an hour.
      reserve: of those, left for the user's other tools.
      lane: which of `lanes` these are for, from 0. All above is the user's, whatever the lane.
      lanes: among how many budgets the user's is shared.

    Raises:
      ValueError: they allow no request, or are no numbers of that kind.
    """

    requests: int = 10_000
    per_seconds: float = 3600.0
    reserve: int = 500
    lane: int = 0
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.requests < 1:
            raise ValueError(f"a budget of {self.requests} requests allows none")
        if not (isfinite(self.per_seconds) and self.per_seconds > 0):
            raise ValueError(f"a budget holds for a span of seconds, not for {self.per_seconds}")
        if not 0 <= self.reserve < self.requests:
            raise ValueError(
                f"a reserve of {self.reserve} out of {self.requests} requests leaves none to send"
            )
        if not 0 <= self.lane < self.lanes:
            raise ValueError(f"of {self.lanes} lanes there is none with number {self.lane}")
        if self.lanes > self.requests - self.reserve:
            raise ValueError(
                f"{self.requests - self.reserve} requests cannot be shared among "
                f"{self.lanes} lanes: each needs one"
            )

    @property
    def allowance(self) -> int:
        """Requests that may be spent in any window; where there are lanes, by this one."""
        return share(self.requests - self.reserve, self.lane, self.lanes)
