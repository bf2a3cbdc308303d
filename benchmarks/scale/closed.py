"""What a burst comes to in closed form, for more prospects than can be simulated."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from benchmarks.scale.policies import EACH, SMOOTHED, Policy
from benchmarks.scale.traffic import AUDIENCES, BURST_SECONDS
from benchmarks.scale.virtual import Outreach
from transforms.budget.terms import BudgetTerms

BUCKET = 1 / 360
"""Of a window: so much later, at most, does a budget allow again what was spent in it."""


def burst_seconds(
    policy: Policy, prospects: int, terms: BudgetTerms, outreach: Outreach
) -> tuple[float, float, float]:
    """How long an initial sync drains after its arrival, and its freshness, p50 and p99.

    Where it is a window's work at least: there it does not matter how it arrives.
    """
    requests = prospects * (AUDIENCES if policy is EACH else 1)
    answered = _smoothed(terms) if policy is SMOOTHED else _early(terms, outreach)
    hold = policy.hold_seconds or 0.0
    fresh = (hold + answered(round(part * requests)) - part * BURST_SECONDS for part in (0.5, 0.99))
    return (hold + answered(requests) - BURST_SECONDS, *fresh)


def _early(terms: BudgetTerms, outreach: Outreach) -> Callable[[int], float]:
    """When the nth request is answered, where each window's are sent as soon as it allows."""

    def answered(number: int) -> float:
        windows, rest = divmod(number - 1, terms.allowance)
        sent = (rest + 1) * mean(outreach.seconds) / outreach.in_flight
        return windows * terms.per_seconds * (1 + BUCKET) + sent

    return answered


def _smoothed(terms: BudgetTerms) -> Callable[[int], float]:
    """When the nth request is answered, where they are sent evenly."""
    return lambda number: number * terms.per_seconds / terms.allowance
