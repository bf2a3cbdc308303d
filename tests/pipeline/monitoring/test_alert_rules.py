"""What is an alert and what is none: budgets, refusals, waits, exits."""

from __future__ import annotations

import sqlite3

import pytest

from pipeline.ledger import guard, history, users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BACKFILL
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import transaction
from pipeline.monitoring.alert_rules import (
    BUDGET,
    KINDS,
    LATE,
    MASS_EXIT,
    PAUSED,
    REFUSED,
    conditions,
)
from tests.docs.test_docs import quoted, rows
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    SECONDS,
    arrive,
    become_members,
    member,
)
from tests.support.processes.program import ROOT
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import DELIVERED, REJECTED, Outcome

pytestmark = pytest.mark.real


def kinds(connection: sqlite3.Connection, now: float = SECONDS) -> dict[str, str]:
    return {each.kind: each.text for each in conditions(read_snapshot(connection, now), "l.db")}


def test_nothing_is_wrong_with_a_backlog_within_the_budget(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 100))
    arrive(ledger, [member(each, "existing") for each in range(1, 50)], now=NOW - HOUR)
    assert kinds(ledger) == {}


def spent(ledger: sqlite3.Connection, own: int, left: int) -> None:
    """We spent some requests, and Outreach says how many are left for an hour."""
    budget = Budget(BudgetTerms())
    budget.take(own, SECONDS - 60)
    for _ in range(own):
        limits = RateLimits(10_000, left, SECONDS + 3000)
        budget.learn(limits, SECONDS - 60, answers_when_sent=budget.answers)
    users.save_budget(ledger, "ops", budget)


def test_a_budget_that_others_spent_is_told_while_something_waits(
    ledger: sqlite3.Connection,
) -> None:
    spent(ledger, 100, 0)
    assert kinds(ledger) == {}
    arrive(ledger, [member(1, "realized")])
    assert "we spent 100 of our 9,500" in kinds(ledger)[BUDGET]
    spent(ledger, 100, 400)
    assert kinds(ledger) == {}


def test_a_budget_that_we_spent_ourselves_is_no_alert(ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(1, "realized")])
    spent(ledger, 9_500, 500)
    assert kinds(ledger) == {}
    # The server's hour and ours differ a little at their ends.
    spent(ledger, 9_400, 0)
    assert kinds(ledger) == {}


def answered(ledger: sqlite3.Connection, delivered: int, rejected: int, at: int = NOW) -> None:
    ended = [
        Outcome(DELIVERED, [member(1, "realized")] * delivered, at),
        Outcome(REJECTED, [member(2, "realized")] * rejected, at, "field_refused", "no", 422),
    ]
    with transaction(ledger):
        history.record(ledger, [each for each in ended if each.changes])


def test_a_share_of_refusals_is_told_where_there_are_enough_to_speak_of(
    ledger: sqlite3.Connection,
) -> None:
    answered(ledger, 1000, 19)
    assert kinds(ledger) == {}
    answered(ledger, 0, 200, at=NOW - 2 * HOUR)
    assert kinds(ledger) == {}
    answered(ledger, 0, 300)
    assert "319 of the last hour's 1,319 changes (of late: field_refused)" in kinds(ledger)[REFUSED]


def test_few_refusals_are_no_alert_whatever_their_share(ledger: sqlite3.Connection) -> None:
    answered(ledger, 0, 19)
    assert kinds(ledger) == {}


def test_a_live_change_that_waits_too_long_is_told_and_a_backfill_is_not(
    ledger: sqlite3.Connection,
) -> None:
    arrive(ledger, [member(1, "realized")], now=NOW - 9 * HOUR, lane=BACKFILL)
    assert kinds(ledger) == {}
    arrive(ledger, [member(2, "realized")], now=NOW - 3 * HOUR)
    assert "changes wait since 2027-01-15T05:00:00Z; 2 prospects wait" in kinds(ledger)[LATE]


def test_what_waits_for_a_person_is_not_told_twice(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    exits = [member(each, "exited") for each in range(1, 21)]
    arrive(ledger, exits, now=NOW - 3 * HOUR, terms=GuardTerms())
    assert set(kinds(ledger)) == {MASS_EXIT}
    arrive(ledger, [member(30, "realized", "seg-b")], now=NOW - HOUR)
    assert set(kinds(ledger)) == {MASS_EXIT}
    with transaction(ledger):
        guard.release(ledger, "seg-a", NOW)
    assert set(kinds(ledger)) == {LATE}
    users.set_paused(ledger, "ops", "user 'ops': the token is refused", NOW)
    assert set(kinds(ledger)) == {PAUSED}


def test_a_mass_exit_is_told_with_the_command_that_lets_it_go(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 21))
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    text = kinds(ledger)[MASS_EXIT]
    assert "audience Audience a: 20 of its 20 known members leave at once" in text
    assert text.endswith("outreach-activation release seg-a --ledger l.db")


def test_every_alert_is_in_the_runbook() -> None:
    table = rows(ROOT / "docs" / "operations.md", "## Alerts")[1:]
    assert [quoted(row[0])[0] for row in table] == list(KINDS)
