"""After a 429 and after a pause, a request goes alone, and not before the server says."""

from __future__ import annotations

from tests.transforms.budget.oracles import HOUR, NO_WORD, NOW, heard, learn_last
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms


def test_after_a_429_nothing_is_granted_until_the_server_says() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW)
    budget.exhausted(NOW + 90, NOW)
    assert budget.take(5, NOW + 89) == (0, 1.0)
    assert budget.take(5, NOW + 90) == (5, 0.0)


def test_a_429_holds_for_a_second_at_least_and_for_a_window_at_most() -> None:
    budget = Budget(BudgetTerms())
    budget.exhausted(NOW - 50, NOW)
    assert budget.next_at(NOW) == NOW + 1
    budget.exhausted(NOW + 10 * HOUR, NOW)
    assert budget.next_at(NOW) == NOW + HOUR


def test_a_server_whose_clock_is_behind_is_asked_less_and_less() -> None:
    budget = Budget(BudgetTerms())
    now, waits = NOW, []
    for _ in range(9):
        budget.exhausted(now - 300, now)
        waits.append(budget.next_at(now) - now)
        now = budget.next_at(now) + 0.25
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    budget.exhausted(now + 600, now + 600)
    assert budget.next_at(now + 600) == now + 601


def test_one_storm_of_429s_is_one_wait() -> None:
    budget = Budget(BudgetTerms())
    for part in range(16):
        budget.exhausted(NOW, NOW + part / 100)
    assert budget.next_at(NOW) == NOW + 1.15


def test_a_request_goes_alone_at_first_after_a_pause_and_after_a_429() -> None:
    budget = Budget(BudgetTerms())
    assert budget.needs_probe(NOW)
    budget.take(1, NOW)
    assert budget.needs_probe(NOW)
    learn_last(budget, NOW + 1)
    assert not budget.needs_probe(NOW + 61)
    assert budget.needs_probe(NOW + 62)
    budget.take(1, NOW + 62)
    assert budget.needs_probe(NOW + 62)
    learn_last(budget, NOW + 63)
    assert not budget.needs_probe(NOW + 63)
    budget.exhausted(NOW + 70, NOW + 63)
    assert budget.needs_probe(NOW + 70)


def test_an_answer_to_what_was_sent_before_a_429_is_no_probe() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW)
    budget.take(2, NOW)
    sent = budget.answers
    budget.learn(NO_WORD, NOW, answers_when_sent=sent)
    budget.exhausted(NOW + 5, NOW)
    budget.learn(NO_WORD, NOW + 1, answers_when_sent=sent)
    assert budget.needs_probe(NOW + 5)


def test_a_slow_server_is_no_pause() -> None:
    budget = Budget(BudgetTerms(100, 60.0, 0))
    heard(budget, NOW)
    budget.take(5, NOW)
    assert not budget.needs_probe(NOW + 30)


def test_a_probe_without_an_answer_is_to_be_repeated() -> None:
    budget = Budget(BudgetTerms())
    budget.take(1, NOW)
    budget.unanswered(NOW + 30)
    assert budget.needs_probe(NOW + 30)
