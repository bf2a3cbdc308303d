"""What the server says is left overrules the count, and only downwards."""

from __future__ import annotations

import math

import pytest

from tests.transforms.budget.oracles import HOUR, NOW, heard
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms


def test_the_servers_word_overrules_the_count_downwards_at_once() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=7, reset=NOW + 600)
    assert budget.available(NOW) == 7
    assert budget.take(10, NOW) == (7, 600.0)


def test_the_servers_word_never_overrules_the_count_upwards() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=0))
    heard(budget, NOW, remaining=9999)
    assert budget.available(NOW) == 9


def test_others_may_use_the_reserve_without_costing_us_anything() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=9500)
    assert budget.available(NOW) == 9499


def test_what_others_spend_shows_in_each_answer_and_is_replaced_not_added_up() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=100)
    heard(budget, NOW + 1, remaining=50)
    heard(budget, NOW + 2, remaining=80)
    assert budget.available(NOW + 2) == 80


def test_the_servers_word_ends_at_its_reset() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=0, reset=NOW + 600)
    assert budget.take(1, NOW + 599) == (0, 1.0)
    assert budget.available(NOW + 600) == 9499


@pytest.mark.parametrize("reset", [None, NOW - 5, NOW + 2 * HOUR, math.nan, 12.0])
def test_a_reset_that_cannot_be_is_taken_for_a_window_from_now(reset: float | None) -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=0, reset=reset)
    assert budget.take(1, NOW) == (0, HOUR)


def test_a_reset_rounded_down_to_the_second_has_not_passed() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW + 0.7, remaining=0, reset=NOW)
    assert budget.available(NOW + 0.9) == 0
    assert budget.available(NOW + 1) == 9499


@pytest.mark.parametrize(("limit", "allowance"), [(2000, 1500), (500, 1), (20_000, 9500)])
def test_a_lower_limit_of_the_server_takes_the_place_of_the_terms(
    limit: int, allowance: int
) -> None:
    budget = Budget(BudgetTerms())
    budget.take(1, NOW)
    budget.learn(RateLimits(limit, None, None), NOW, answers_when_sent=0)
    assert budget.allowance == allowance
    assert Budget.load(budget.dump(), BudgetTerms()).allowance == allowance
    budget.learn(RateLimits(10_000, None, None), NOW, answers_when_sent=1)
    assert budget.allowance == 9500


def test_an_answer_does_not_count_what_the_server_had_yet_to_see() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=11)
    budget.take(10, NOW)
    sent = budget.answers
    budget.learn(RateLimits(10_000, 10, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 1  # 10 were left, and 9 are on their way


def test_answers_that_overtake_each_other_do_not_raise_what_is_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=20)
    budget.take(3, NOW)
    sent = budget.answers
    for remaining in (17, 19, 18):
        budget.learn(RateLimits(10_000, remaining, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 17


def test_a_low_count_of_the_servers_last_hour_is_void_in_its_next() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=2, reset=NOW + 10)
    budget.take(2, NOW + 9)
    sent = budget.answers
    budget.learn(RateLimits(10_000, 1, NOW + 10), NOW + 9.5, answers_when_sent=sent)
    budget.learn(RateLimits(10_000, 700, NOW + HOUR), NOW + 11, answers_when_sent=sent)
    assert budget.available(NOW + 11) == 700


def test_a_request_that_ended_unanswered_is_one_less_that_the_server_has_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=7)
    budget.take(5, NOW)
    for _ in range(3):
        budget.unanswered(NOW)
    assert budget.available(NOW) == 2
    budget.settle(NOW)
    assert budget.available(NOW) == 2


def test_a_request_that_ended_unanswered_may_be_missing_from_what_is_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=20)
    budget.take(2, NOW)
    sent = budget.answers
    budget.unanswered(NOW)
    budget.learn(RateLimits(10_000, 19, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 18
    heard(budget, NOW, remaining=17)
    assert budget.available(NOW) == 17
