"""What waits, who may spend what, and when it will be empty, from the ledger alone."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger import history, users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BACKFILL, Message, receive
from pipeline.ledger.queries.snapshot_reader import ERRORS, read_snapshot
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import (
    NOW,
    SECONDS,
    arrive,
    become_members,
    deliver,
    held,
    member,
    spend,
)
from transforms.budget.budget import Budget
from transforms.budget.forecast import granted_at
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import REJECTED, Outcome


def test_what_waits_is_told_by_audience_and_user_oldest_first(ledger: sqlite3.Connection) -> None:
    minute = 60_000_000
    arrive(
        ledger,
        [member(each, "realized", "seg-b", user="sales") for each in (1, 2)],
        now=NOW - 2 * minute,
    )
    arrive(ledger, [member(3, "realized")], now=NOW - 5 * minute)
    arrive(ledger, [member(4, "realized"), member(4, "realized", "seg-b")], now=NOW, lane=BACKFILL)
    found = read_snapshot(ledger, SECONDS)
    assert [
        (each.segment, each.user, each.changes, SECONDS - each.oldest_at) for each in found.waiting
    ] == [
        ("seg-a", "ops", 2, 300),
        ("seg-b", "sales", 2, 120),
        ("seg-b", "ops", 1, 0),
    ]
    assert (found.changes, SECONDS - (found.oldest_at or 0)) == (5, 300)
    assert [
        (each.user, each.lane, each.prospects) for user in found.users for each in user.lanes
    ] == [("ops", 0, 1), ("ops", 1, 1), ("sales", 0, 2)]
    assert found.audience("seg-a") == "Audience a"
    assert found.audience(None) == "profile attributes"
    assert found.audience("unmapped") == "unmapped"


def test_a_user_is_told_with_the_budget_as_it_is_now(ledger: sqlite3.Connection) -> None:
    spend(ledger, "ops", 9_500, ago=600)
    spend(ledger, "sales", 500, ago=600)
    arrive(ledger, [member(each, "realized") for each in range(1, 4)])
    ops, sales = read_snapshot(ledger, SECONDS).users
    assert (ops.available, ops.allowance) == (0, 9_500)
    assert ops.more_at == pytest.approx(SECONDS + 3000, abs=11)
    assert ops.empty_at == ops.more_at
    assert (sales.available, sales.changes) == (9_000, 0)
    assert sales.more_at == ops.more_at


def test_a_user_that_the_destination_no_longer_names_is_told_while_something_waits(
    ledger: sqlite3.Connection,
) -> None:
    arrive(ledger, [member(1, "realized", user="gone")])
    with transaction(ledger):
        users.name_users(ledger, {"ops": BudgetTerms()})
    found = read_snapshot(ledger, SECONDS)
    assert [(each.name, each.allowance, each.changes) for each in found.users] == [
        ("gone", None, 1),
        ("ops", 9_500, 0),
    ]
    assert found.empty_at is None


def test_the_backlog_has_no_end_while_a_person_is_waited_for(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    assert read_snapshot(ledger, SECONDS).empty_at == SECONDS
    arrive(ledger, [member(1, "existing")])
    assert read_snapshot(ledger, SECONDS).empty_at == SECONDS
    users.set_paused(ledger, "ops", "user 'ops': the token is refused; run connect", NOW)
    assert read_snapshot(ledger, SECONDS).empty_at is None
    users.set_paused(ledger, "ops", None, NOW)
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    assert held(ledger) == ["seg-a"]
    assert read_snapshot(ledger, SECONDS).empty_at is None


@given(
    spent=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 12)), max_size=6),
    count=st.integers(0, 60),
    left=st.none() | st.integers(0, 10),
    in_flight=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_the_forecast_is_when_a_budget_grants_the_last_one(
    spent: list[tuple[int, int]], count: int, left: int | None, in_flight: int
) -> None:
    terms = BudgetTerms(12, 100.0, 2)

    def budget() -> Budget:
        made = Budget(terms)
        for at, requests in sorted(spent):
            made.take(requests, float(at))
            made.settle(float(at))
        if left is not None and made.take(1, 99.0)[0]:
            made.learn(RateLimits(12, left, 130.0), 99.0, answers_when_sent=made.answers)
        made.take(in_flight, 99.0)
        return made

    now, sent, at = budget(), 0, 100.0
    now.settle(at)
    while sent < count:
        granted, wait = now.take(1, at)
        sent += granted
        if granted:
            now.settle(at)
        else:
            at += max(wait, 0.001)
    # A bucket is a 360th of a window: what is taken one by one may leave one by one.
    windows = 1 + count // terms.allowance
    assert granted_at(budget(), count, 100.0) == pytest.approx(at, abs=windows * 100.0 / 360 + 0.01)


def test_a_forecast_of_a_million_requests_takes_no_time() -> None:
    budget = Budget(BudgetTerms())
    assert granted_at(budget, 1_000_000, 0.0) == pytest.approx(1_000_000 // 9_500 * 3600.0)


def test_the_last_hour_and_the_last_errors_are_told(ledger: sqlite3.Connection) -> None:
    become_members(ledger, [1, 2])
    hour = 3_600_000_000
    for number, at in enumerate(range(NOW - 15 * hour, NOW, hour)):
        with transaction(ledger):
            refused = [member(number + 100, "realized")]
            history.record(ledger, [Outcome(REJECTED, refused, at + 1, "not_found", "gone", 404)])
    found = read_snapshot(ledger, SECONDS)
    assert dict(found.lately) == {
        "delivered": 2,
        "unchanged": 0,
        "superseded": 0,
        "rejected": 1,
        "deferred": 0,
    }
    assert len(found.errors) == ERRORS
    assert [each["payload"]["outreach_id"] for each in found.errors][:3] == [114, 113, 112]


def test_each_question_is_answered_from_an_index(ledger: sqlite3.Connection) -> None:
    asked: list[str] = []
    ledger.set_trace_callback(asked.append)
    arrive(ledger, [member(1, "realized")])
    receive(ledger, [Message("s", "1", NOW, 0, b"{}")], NOW)
    asked.clear()
    read_snapshot(ledger, SECONDS)
    ledger.set_trace_callback(None)
    large = ("waiting", "queue", "receipts", "inbox", "dead_letters", "known", "exits")
    for query in asked:
        if not query.startswith("SELECT"):
            continue
        for *_, step in ledger.execute(f"EXPLAIN QUERY PLAN {query}"):
            table = step.split()[1] if step.startswith(("SCAN", "SEARCH")) else ""
            by_id_or_index = "INDEX" in step or "PRIMARY KEY" in step or "rowid" in step
            newest_first = "ORDER BY id DESC LIMIT" in query
            assert table not in large or by_id_or_index or newest_first, (query, step)
            sorts = "TEMP B-TREE FOR GROUP BY" in step
            assert not sorts or "FROM audiences" in query, query


def test_delivering_empties_what_is_told(ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(1, "realized")])
    deliver(ledger)
    found = read_snapshot(ledger, SECONDS)
    assert (found.changes, found.oldest_at, list(found.waiting)) == (0, None, [])
