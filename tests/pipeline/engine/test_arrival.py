"""Receipts of what was sent know when it arrived, whatever it had to wait for in between."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.org.identities import LOOK_SECONDS
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.queries.freshness import Freshness, freshness, freshness_since
from pipeline.ledger.store import transaction
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.pipeline.engine.org import test_identities as by_email
from tests.support.in_process.scheduling import scheduled, turn
from tests.support.processes.org import people
from tests.support.servers.sandbox_client import Clock

pytestmark = pytest.mark.real

MONTH = 30 * 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(), clock) as running:
        running.seed(people(5))
        yield running


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")


def arrive(
    ledger: sqlite3.Connection, clock: Clock, *prospects: int, status: str = "realized"
) -> int:
    """Messages of old changes come into the inbox; returns when."""
    now = round(clock() * 1e6)
    told = {"segment": "a", "status": status, "event_time": clock() - MONTH}
    messages = [
        Message(
            "s",
            f"{each}-{status}",
            now - 5_000_000 + each,
            LIVE,
            json.dumps({"outreach_id": each, **told}).encode(),
        )
        for each in prospects
    ]
    assert receive(ledger, messages, now) == len(prospects)
    return now


def arrivals(ledger: sqlite3.Connection, outcome: str = "delivered") -> dict[int, int | None]:
    return dict(
        ledger.execute(
            "SELECT outreach_id, arrived_at FROM receipts WHERE outcome = ?", (outcome,)
        ).fetchall()
    )


def test_each_change_that_is_taken_in_with_others_counts_from_its_own_message_s_arrival(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with scheduled(tmp_path, sandbox, clock) as (scheduler, ledger):
        first = arrive(ledger, clock, 3, 1)
        clock.now += 100
        second = arrive(ledger, clock, 2)
        clock.now += 60
        turn(scheduler)
        clock.now += 10  # the hold
        turn(scheduler)
        assert arrivals(ledger) == {1: first, 2: second, 3: first}
        assert freshness(ledger) == {"a": Freshness(3, 170.0, 170.0)}


def test_what_is_merged_counts_from_the_arrival_of_the_change_that_was_delivered(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with scheduled(tmp_path, sandbox, clock) as (scheduler, ledger):
        arrive(ledger, clock, 1)
        turn(scheduler)
        clock.now += 2
        newer = arrive(ledger, clock, 1, status="exited")
        turn(scheduler)
        clock.now += 10
        turn(scheduler)
        assert arrivals(ledger) == {1: newer}
        assert arrivals(ledger, "superseded") == {1: None}
        found, _ = freshness_since(ledger, 0)
        assert found == Freshness(1, 10.0, 10.0)


def test_who_had_to_be_found_by_an_address_counts_from_the_message_s_arrival(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with by_email.job(tmp_path, sandbox, clock) as (scheduler, ledger):
        by_email.turn(scheduler)
        sandbox.seed({9: {"emails": ["new@example.com"]}})
        arrived = round(clock() * 1e6)
        by_email.arrive(ledger, clock, "new@example.com")
        clock.now += 7
        by_email.turn(scheduler)
        assert arrivals(ledger) == {}
        clock.now += LOOK_SECONDS
        by_email.turn(scheduler)
        clock.now += 10  # the hold
        by_email.turn(scheduler)
        assert arrivals(ledger) == {9: arrived}


def test_who_had_to_be_created_counts_from_the_message_s_arrival(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with by_email.job(tmp_path, sandbox, clock, mode="upsert") as (scheduler, ledger):
        by_email.turn(scheduler)
        arrived = round(clock() * 1e6)
        by_email.arrive(ledger, clock, "new@example.com")
        clock.now += 7
        by_email.turn(scheduler)
        clock.now += LOOK_SECONDS
        by_email.turn(scheduler)
        assert list(arrivals(ledger).values()) == [arrived]


def test_receipts_of_before_arrivals_were_kept_are_left_out(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with scheduled(tmp_path, sandbox, clock) as (scheduler, ledger):
        arrive(ledger, clock, 1, 2, 3)
        turn(scheduler)
        clock.now += 10
        turn(scheduler)
        with transaction(ledger):
            ledger.execute("UPDATE receipts SET arrived_at = NULL WHERE outreach_id < 3")
        assert freshness(ledger)["a"].changes == 1
        with transaction(ledger):
            ledger.execute("UPDATE receipts SET arrived_at = NULL")
        assert freshness(ledger) == {}
        assert freshness_since(ledger, 0) == (None, {})
