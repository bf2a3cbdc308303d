"""A grant: the part of a budget that was taken beforehand, for one turn of sending."""

from __future__ import annotations

import math

from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits


class Grant:
    """Stands in for a `Budget` whose requests were taken, and recorded, before.

    Never more than was granted is sent, and less as soon as the server says that less is left.

    Args:
      budget: of which they were taken; it learns from the answers.
      granted: how many may be sent.
    """

    def __init__(self, budget: Budget, granted: int) -> None:
        self._budget = budget
        self._left = granted

    @property
    def answers(self) -> int:
        """As of `Budget`."""
        return self._budget.answers

    @property
    def allowance(self) -> int:
        """As of `Budget`."""
        return self._budget.allowance

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `Budget`; once all is spent, or the server refused, there is no more to come."""
        # All that is left is taken anew: what was said since the grant may allow less of it.
        self._budget.give_back(self._left)
        self._left, _ = self._budget.take(self._left, now)
        granted = min(wanted, self._left)
        self._left -= granted
        return granted, 0.0 if granted >= wanted else math.inf

    def learn(self, limits: RateLimits, now: float, *, answers_when_sent: int) -> None:
        """As of `Budget`."""
        self._budget.learn(limits, now, answers_when_sent=answers_when_sent)

    def unanswered(self, now: float) -> None:
        """As of `Budget`."""
        self._budget.unanswered(now)

    def give_back(self, count: int = 1) -> None:
        """As of `Budget`: they may be sent yet."""
        self._left += count

    def exhausted(self, until: float, now: float) -> None:
        """As of `Budget`; ends the turn."""
        self._budget.exhausted(until, now)

    def available(self, now: float) -> int:
        """Requests of this turn that are left."""
        del now
        return self._left

    def needs_probe(self, now: float) -> bool:
        """As of `Budget`."""
        return self._budget.needs_probe(now)

    def close(self) -> int:
        """Gives back what was not sent; returns how many that were."""
        left, self._left = self._left, 0
        self._budget.give_back(left)
        return left
