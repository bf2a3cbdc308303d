"""An allotment: what was granted beforehand is never exceeded, and less where less is left."""

from __future__ import annotations

import math

import pytest

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms

NOW = 1_800_000_000.0
TERMS = BudgetTerms(1000, 3600.0, 0)


@pytest.fixture
def budget() -> Budget:
    """One that has heard from the server, so that it needs no probe."""
    budget = Budget(TERMS)
    budget.take(1, NOW)
    budget.learn(RateLimits(1000, 999, NOW + 3600), NOW, answers_when_sent=0)
    return budget


def allot(budget: Budget, wanted: int) -> Grant:
    granted, _ = budget.take(wanted, NOW)
    assert granted == wanted
    return Grant(budget, granted)


def end(grant: Grant, remaining: int) -> None:
    limits = RateLimits(1000, remaining, NOW + 3600)
    grant.learn(limits, NOW, answers_when_sent=grant.answers)


def test_no_more_is_given_than_was_granted_and_no_more_will_come(budget: Budget) -> None:
    grant = allot(budget, 3)

    assert grant.take(2, NOW) == (2, 0.0)
    assert grant.take(2, NOW) == (1, math.inf)
    assert grant.take(1, NOW) == (0, math.inf)
    assert budget.in_flight == 3


def test_what_was_not_sent_goes_back_to_the_budget(budget: Budget) -> None:
    before = budget.available(NOW)
    grant = allot(budget, 10)
    grant.take(1, NOW)
    grant.take(1, NOW)
    grant.give_back()

    grant.close()

    assert budget.in_flight == 1
    assert budget.available(NOW) == before - 1


def test_what_could_not_be_sent_may_be_sent_yet(budget: Budget) -> None:
    grant = allot(budget, 1)
    grant.take(1, NOW)

    grant.give_back()

    assert grant.available(NOW) == 1
    assert grant.take(1, NOW) == (1, 0.0)


def test_less_is_sent_as_soon_as_the_server_says_that_less_is_left(budget: Budget) -> None:
    grant = allot(budget, 200)
    grant.take(1, NOW)

    end(grant, 5)

    assert sum(grant.take(1, NOW)[0] for _ in range(20)) == 5
    assert budget.in_flight == 5


def test_a_429_ends_the_turn(budget: Budget) -> None:
    grant = allot(budget, 200)
    grant.take(1, NOW)

    end(grant, 900)
    grant.exhausted(NOW + 60, NOW)

    assert grant.take(1, NOW) == (0, math.inf)
    assert budget.in_flight == 0


def test_a_turn_that_begins_long_after_its_grant_begins_with_one_request(budget: Budget) -> None:
    grant = allot(budget, 5)
    later = NOW + 600

    assert grant.take(1, later) == (1, 0.0)
    assert grant.needs_probe(later), "nobody heard from the server for ten minutes"


def test_what_is_spent_through_it_is_spent_of_the_budget(budget: Budget) -> None:
    before = budget.available(NOW)
    grant = allot(budget, 4)
    for _ in range(3):
        grant.take(1, NOW)
    end(grant, 900)
    grant.unanswered(NOW)
    grant.close()

    assert budget.in_flight == 1
    assert budget.available(NOW) <= before - 3
    assert grant.allowance == budget.allowance
