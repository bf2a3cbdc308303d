"""A budget that was dumped and loaded goes on as it was, and stays small."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.transforms.budget.oracles import (
    HOUR,
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


@thoroughly
@given(small_terms, moves)
def test_a_loaded_budget_goes_on_as_the_dumped_one_would(
    terms: BudgetTerms, history: list[Move]
) -> None:
    *_, (played, _, _) = play(terms, history)
    budget, copy = played.budget, Budget.load(played.budget.dump(), terms)
    assert copy.dump() == budget.dump()
    for seconds in (0, 1, 5, 30, HOUR / 2, HOUR):
        now = played.now + seconds
        assert copy.needs_probe(now) == budget.needs_probe(now)
        assert copy.take(3, now) == budget.take(3, now)
        assert repr(copy) == repr(budget)


@pytest.mark.parametrize("dumped", [b"", b"\x01", b"\xff" * 80, Budget(BudgetTerms()).dump()[:-1]])
def test_what_is_no_dump_is_refused(dumped: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a budget|cut short"):
        Budget.load(dumped, BudgetTerms())


def test_a_dump_of_a_full_hour_is_small() -> None:
    budget = Budget(BudgetTerms())
    for second in range(4000):
        budget.take(2, NOW + second)
        budget.unanswered(NOW + second + 0.5)
        budget.unanswered(NOW + second + 0.5)
    assert len(budget.dump()) < 4500


def test_a_budget_loaded_under_larger_terms_may_spend_as_they_say() -> None:
    budget = Budget(BudgetTerms(11, HOUR, 1))
    for _ in range(10):
        heard(budget, NOW, remaining=9_000, reset=NOW + HOUR)
    assert budget.available(NOW) == 0

    assert Budget.load(budget.dump(), BudgetTerms(1_000, HOUR, 0)).available(NOW) == 990


def test_a_budget_loaded_every_second_stays_small() -> None:
    budget = Budget(BudgetTerms())
    for second in range(4000):
        budget = Budget.load(budget.dump(), BudgetTerms())
        budget.take(1, NOW + second)
        budget.unanswered(NOW + second)
    assert len(budget.dump()) < 4500
