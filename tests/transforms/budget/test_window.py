"""A window's allowance is granted at once and never exceeded, and none of it is withheld."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given

from tests.transforms.budget.oracles import (
    HOUR,
    NO_WORD,
    NOW,
    Move,
    heard,
    moves,
    play,
    small_terms,
    thoroughly,
)
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms


@pytest.mark.parametrize(
    "terms",
    [
        {"requests": 0},
        {"requests": 100, "reserve": 100},
        {"reserve": -1},
        {"per_seconds": 0},
        {"per_seconds": math.nan},
        {"per_seconds": math.inf},
    ],
)
def test_terms_that_allow_no_request_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"allows none|leaves none|span of seconds"):
        BudgetTerms(**terms)  # type: ignore[arg-type]


def test_the_default_terms_are_outreachs_limit_less_the_reserve() -> None:
    assert BudgetTerms().allowance == 9500


def test_all_that_the_window_allows_is_granted_at_once() -> None:
    budget = Budget(BudgetTerms())
    assert budget.take(9500, NOW) == (9500, 0.0)
    assert budget.take(1, NOW)[0] == 0


def test_what_is_wanted_beyond_any_budget_gets_what_there_is() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=2))
    granted, wait_seconds = budget.take(1000, NOW)
    assert granted == 8
    assert wait_seconds == HOUR


def test_nothing_wanted_is_nothing_granted() -> None:
    budget = Budget(BudgetTerms())
    assert budget.take(0, NOW) == (0, 0.0)
    assert budget.take(-5, NOW) == (0, 0.0)
    assert budget.available(NOW) == 9500


def test_a_spend_is_free_again_an_hour_after_its_answer_and_not_after_its_grant() -> None:
    budget = Budget(BudgetTerms(requests=1, reserve=0))
    budget.take(1, NOW)
    budget.learn(NO_WORD, NOW + 20, answers_when_sent=0)
    assert budget.take(1, NOW + HOUR) == (0, 20.0)
    assert budget.take(1, NOW + HOUR + 20) == (1, 0.0)


def test_a_request_without_an_answer_never_expires() -> None:
    budget = Budget(BudgetTerms(requests=1, reserve=0))
    budget.take(1, NOW)
    assert budget.available(NOW + 100 * HOUR) == 0
    budget.unanswered(NOW + 100 * HOUR)
    assert budget.available(NOW + 101 * HOUR) == 1


def test_what_was_never_sent_is_given_back() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=0))
    heard(budget, NOW, remaining=5)
    budget.take(5, NOW)
    budget.give_back(2)
    assert budget.available(NOW) == 2


@thoroughly
@given(small_terms, moves)
def test_no_window_at_the_server_holds_more_requests_than_the_allowance(
    terms: BudgetTerms, history: list[Move]
) -> None:
    *_, (played, _, _) = play(terms, history)
    for unanswered in (played.in_flight, [played.now] * len(played.in_flight)):
        arrived = sorted(played.arrived + unanswered)
        window: deque[float] = deque()
        for arrival in arrived:
            window.append(arrival)
            while window[0] <= arrival - terms.per_seconds:
                window.popleft()
            assert len(window) <= terms.allowance


@thoroughly
@given(small_terms, moves)
def test_no_more_is_withheld_than_what_was_spent_within_a_window_and_a_bucket(
    terms: BudgetTerms, history: list[Move]
) -> None:
    width = terms.per_seconds / 360
    for played, wanted, granted in play(terms, history):
        oldest = played.now - terms.per_seconds
        counted = sum(ended > oldest - width for ended in played.ended)
        allowed = terms.allowance - len(played.in_flight) - counted
        assert granted >= min(wanted, allowed)


def test_a_steady_flow_becomes_free_again_as_steadily() -> None:
    budget = Budget(BudgetTerms(100, HOUR, 0))
    for second in range(100):
        heard(budget, NOW + second)
    for second in range(100):
        assert second - 10 <= budget.available(NOW + HOUR + second) <= second + 1


@thoroughly
@given(small_terms, moves)
def test_asking_again_after_the_seconds_told_gives_at_least_one(
    terms: BudgetTerms, history: list[Move]
) -> None:
    for played, _, _ in play(terms, history):
        if played.budget.in_flight:
            continue  # then an answer that is yet to come decides
        copy = Budget.load(played.budget.dump(), terms)
        at = copy.next_at(played.now)
        assert copy.take(1, at)[0] == 1
        if at > played.now:
            copy = Budget.load(played.budget.dump(), terms)
            assert copy.take(1, math.nextafter(at, 0)) == (0, at - math.nextafter(at, 0))


def test_settled_requests_count_from_when_they_can_have_arrived_at_the_latest() -> None:
    budget = Budget(BudgetTerms(requests=3, reserve=0))
    budget.take(3, NOW)
    budget.settle(NOW + 600, within_seconds=30)
    assert budget.in_flight == 0
    assert budget.take(1, NOW + 600) == (0, HOUR - 570)
    assert budget.take(3, NOW + 30 + HOUR) == (3, 0.0)


def test_a_budget_can_be_read_by_people() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=42)
    budget.take(2, NOW)
    assert repr(budget) == (
        "Budget(allowance=9500 per 3600 s, spent=1, in_flight=2, server_left=40)"
    )


def test_waits_come_in_the_order_in_which_spends_become_free() -> None:
    budget = Budget(BudgetTerms(4, HOUR, 0))
    for at in (0, 100, 200, 300):
        heard(budget, NOW + at)
    freed = []
    now = NOW + 300
    for _ in range(4):
        now = budget.next_at(now)
        freed.append(now - NOW)
        assert budget.take(1, now)[0] == 1
    assert all(later - sooner == 100 for sooner, later in pairwise(freed))
    assert freed[0] == HOUR
