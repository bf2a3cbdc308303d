"""What is spent is kept by minute, whoever dies or refuses in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import history, users
from pipeline.ledger.queries.spending import read_spending
from pipeline.ledger.spends import Spends
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import NOW, new_ledger
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms

NOW_SECONDS = NOW // 60_000_000 * 60.0
TERMS = BudgetTerms(requests=1_000, per_seconds=3_600, reserve=100)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path) as connection:
        with transaction(connection):
            users.name_users(connection, {"ops": TERMS})
        yield connection


def spend(budget: Budget, count: int, now: float, left: int | None = None) -> None:
    granted, _ = budget.take(count, now)
    assert granted == count
    for _ in range(count):
        budget.learn(RateLimits(remaining=left), now, answers_when_sent=budget.answers)


def note(ledger: sqlite3.Connection, spends: Spends, budget: Budget, now: float) -> None:
    with transaction(ledger):
        spends.note(ledger, budget, now)


def test_requests_count_in_their_minute_and_in_the_window_that_ends_there(
    ledger: sqlite3.Connection,
) -> None:
    budget, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    for minute, count in ((0, 5), (1, 7), (61, 2)):
        spend(budget, count, NOW_SECONDS + 60 * minute)
        note(ledger, spends, budget, NOW_SECONDS + 60 * minute)
    (one,) = read_spending(ledger, NOW_SECONDS + 120, NOW_SECONDS + 61 * 60)
    assert (one.user, len(one.requests), one.span_minutes) == ("ops", 60, 1)
    assert sum(one.requests) == one.requests[-1] == 2
    assert one.windows[0] == 12, "what was spent before the first span still counts in it"
    assert one.windows[-1] == 2, "an hour later it counts no more"
    assert (one.limit, one.reserve, one.allowance, one.backfill) == (1_000, 100, 900, 900)


def test_long_times_are_told_in_as_many_spans(ledger: sqlite3.Connection) -> None:
    budget, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    for minute in range(0, 180, 10):
        spend(budget, 10, NOW_SECONDS + 60 * minute)
        note(ledger, spends, budget, NOW_SECONDS + 60 * minute)
    (one,) = read_spending(ledger, NOW_SECONDS, NOW_SECONDS + 60 * 179)
    assert (len(one.requests), one.span_minutes, sum(one.requests)) == (60, 3, 180)
    assert max(one.windows) == 60


def test_what_others_spent_and_the_live_share_are_told(ledger: sqlite3.Connection) -> None:
    budget, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    spend(budget, 10, NOW_SECONDS, left=700)
    note(ledger, spends, budget, NOW_SECONDS)
    with transaction(ledger):
        users.note_live_share(ledger, 0.2)
    (one,) = read_spending(ledger, NOW_SECONDS, NOW_SECONDS)
    assert (one.requests, one.withheld) == ([10], [190])
    assert one.backfill == 720


def test_a_transaction_that_came_to_nothing_loses_no_request(ledger: sqlite3.Connection) -> None:
    budget, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    spend(budget, 4, NOW_SECONDS)

    def refused() -> None:
        with transaction(ledger):
            spends.note(ledger, budget, NOW_SECONDS)
            raise sqlite3.OperationalError

    with pytest.raises(sqlite3.OperationalError):
        refused()
    spend(budget, 1, NOW_SECONDS + 60)
    note(ledger, spends, budget, NOW_SECONDS + 60)
    (one,) = read_spending(ledger, NOW_SECONDS, NOW_SECONDS + 60)
    assert one.requests == [4, 1]


def test_processes_of_one_minute_add_up_and_what_one_left_unanswered_counts(
    ledger: sqlite3.Connection,
) -> None:
    first, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    spend(first, 3, NOW_SECONDS)
    first.take(2, NOW_SECONDS)
    with transaction(ledger):
        users.save_budget(ledger, "ops", first)
        spends.note(ledger, first, NOW_SECONDS)
    later = NOW_SECONDS + 5
    note(ledger, Spends("ops", later), users.load_budget(ledger, "ops", TERMS, later), later)
    (one,) = read_spending(ledger, NOW_SECONDS, later)
    assert one.requests == [5]


def test_old_minutes_go(ledger: sqlite3.Connection) -> None:
    budget, spends = Budget(TERMS), Spends("ops", NOW_SECONDS)
    for seconds in (0, 60):
        spend(budget, 1, NOW_SECONDS + seconds)
        note(ledger, spends, budget, NOW_SECONDS + seconds)
    history.prune(ledger, round((NOW_SECONDS + 60) * 1e6), 0)
    (one,) = read_spending(ledger, NOW_SECONDS, NOW_SECONDS + 60)
    assert one.requests == [0, 1]
