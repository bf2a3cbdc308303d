"""Clocks that are set back, or that disagree, grant nothing too early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.budget.oracles import HOUR, NOW, Move, moves, play, small_terms, thoroughly
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms


@thoroughly
@given(small_terms, moves, st.integers(1, 16 * 2 * 86_400).map(lambda n: n / 16))
def test_a_clock_set_back_grants_nothing_too_early(
    terms: BudgetTerms, history: list[Move], back: float
) -> None:
    *_, (played, _, _) = play(terms, history)
    if played.in_flight:
        played.end(0, 1.0, answered=True)
    ended, budget = played.ended, played.budget
    for seconds in (0.0, 1.0, terms.per_seconds / 2, terms.per_seconds, 3 * terms.per_seconds):
        real = played.now + seconds
        young = sum(end > real - terms.per_seconds for end in ended)
        assert budget.available(real - back) <= terms.allowance - young - budget.in_flight
    assert budget.available(real - back) == terms.allowance - budget.in_flight


@thoroughly
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_callers_whose_clocks_disagree_a_little_get_no_more(offsets: list[float]) -> None:
    budget = Budget(BudgetTerms(100, HOUR, 0))
    for offset in offsets:
        budget.take(1, NOW + offset)
        budget.unanswered(NOW + offset)
    latest = max(offsets)
    assert budget.available(NOW + latest + HOUR - 0.001) < 100
    assert budget.available(NOW + latest + HOUR) == 100
