"""When a backlog will be empty, from the arithmetic of its user's budget."""

from __future__ import annotations

from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms

_LEAST_SECONDS = 0.001


def granted_at(budget: Budget, count: int, now: float) -> float:
    """When the last of so many requests may be sent, if each is sent as soon as it may.

    It is a lower bound: what else arrives, what others spend, and how fast Outreach answers
    are not known beforehand.

    Args:
      budget: of one user; spent by this, so that it is good for nothing else.
      count: requests, those that the budget counts as in flight apart.
      now: seconds since the epoch.
    """
    budget.settle(now)
    # A request goes when the one that is an allowance ahead of it leaves the window.
    windows, rest = divmod(max(0, count - 1), budget.allowance)
    rest += min(count, 1)
    at = now
    while rest > 0:
        granted, wait = budget.take(rest, at)
        rest -= granted
        if rest > 0:
            at += max(wait, _LEAST_SECONDS)
    return at + windows * budget.terms.per_seconds


def hours(requests: int, terms: BudgetTerms) -> float:
    """Hours until the last of so many requests can be sent.

    A budget is spent as early as it may be: all of it at once, and again each time that it is
    whole, so that what fits one budget takes no hour at all.
    """
    return max(requests - 1, 0) // terms.allowance * terms.per_seconds / 3600
