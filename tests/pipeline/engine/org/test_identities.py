"""Whom addresses are, in a job that never ends: soon, together, and once more before giving up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.org.key_lookup import LOOK_SECONDS
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.directory import unresolved
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.org import address, people, write_org
from tests.support.servers.sandbox_client import Clock

pytestmark = pytest.mark.real

HOUR = 3_600.0
_numbers = iter(range(1, 10**6))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(), clock) as running:
        running.seed(people(5))
        yield running


@contextmanager
def job(
    folder: Path, sandbox: Sandbox, clock: Clock, **more: object
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    write_org(folder, sandbox.url, **more)
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    config = replace(engine_config(destination, Place.of(destination), None), clock=clock)
    with owned(path), closing(connect(path)) as ledger, closing(Scheduler(ledger, config)) as one:
        yield one, ledger


def arrive(ledger: sqlite3.Connection, clock: Clock, email: str, segment: str = "seg-a") -> None:
    body = json.dumps({"email": email, "segment": segment, "status": "realized"}).encode()
    now = round(clock() * 1e6)
    receive(ledger, [Message("s", f"m{next(_numbers)}", now, LIVE, body)], now)


def turn(scheduler: Scheduler) -> None:
    """What the job does each time it comes round, until there is nothing to do."""
    for _ in range(10):
        busy = scheduler.take_in_messages()
        busy |= scheduler.deliver()
        if not (busy | scheduler.tend()):
            return
    raise AssertionError("it does not come to rest")


def reads(sandbox: Sandbox) -> list[str]:
    """What lists of prospects were asked for."""
    names = {"filter%5Bemails%5D": "look-up", "filter%5BupdatedAt%5D": "updates"}
    return [
        next((name for mark, name in names.items() if mark in each.query), "everybody")
        for each in sandbox.requests()
        if each.method == "GET"
    ]


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")


def test_who_is_created_meanwhile_is_found_by_the_look_up_without_waiting_for_a_refresh(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        turn(scheduler)
        sandbox.seed({9: {"emails": ["new@example.com"]}})
        arrive(ledger, clock, "NEW@example.com")
        turn(scheduler)
        assert reads(sandbox) == ["everybody"]
        clock.now += LOOK_SECONDS
        turn(scheduler)
        assert reads(sandbox) == ["everybody", "look-up"]
        clock.now += 10  # the hold
        turn(scheduler)
        assert sandbox.prospects()[9]["custom4"] == "realized"


def test_who_is_not_there_yet_waits_for_the_next_refresh(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        turn(scheduler)
        arrive(ledger, clock, "late@example.com")
        for _ in range(5):
            clock.now += LOOK_SECONDS
            turn(scheduler)
        assert reads(sandbox) == ["everybody", "look-up"]
        sandbox.seed({9: {"emails": ["late@example.com"]}})
        clock.now += HOUR
        turn(scheduler)
        clock.now += 10
        turn(scheduler)
        assert reads(sandbox) == ["everybody", "look-up", "updates"]
        assert sandbox.prospects()[9]["custom4"] == "realized"


def test_who_is_never_there_is_looked_up_once_more_and_then_a_dead_letter(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        turn(scheduler)
        arrive(ledger, clock, "ghost@example.com")
        turn(scheduler)
        clock.now += LOOK_SECONDS
        turn(scheduler)
        assert unresolved.count(ledger) == 1
        clock.now += HOUR
        turn(scheduler)
        assert reads(sandbox) == ["everybody", "look-up", "updates", "look-up"]
        assert unresolved.count(ledger) == 0
        letters = ledger.execute("SELECT reason, outreach_id FROM dead_letters").fetchall()
        assert letters == [("prospect_unknown", 0)]


def test_many_unknown_addresses_are_looked_up_with_few_requests(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        turn(scheduler)
        sandbox.seed(people(400, first=100))
        for number in range(100, 500):
            arrive(ledger, clock, address(number))
        turn(scheduler)
        clock.now += LOOK_SECONDS
        turn(scheduler)
        assert reads(sandbox).count("look-up") <= 3
        assert unresolved.count(ledger) == 0


def test_an_audience_that_is_not_mapped_asks_for_nobody(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        turn(scheduler)
        arrive(ledger, clock, "ghost@example.com", segment="seg-z")
        turn(scheduler)
        assert unresolved.count(ledger) == 0
        assert ledger.execute("SELECT count FROM totals WHERE name = 'unmapped'").fetchone() == (1,)


def test_a_pull_waits_for_live_changes_that_the_budget_does_not_allow_yet(
    tmp_path: Path, clock: Clock
) -> None:
    options = SandboxOptions(limit=3, hour=HOUR, window="sliding", prospects=10)
    with running_sandbox(options, clock) as sandbox:
        budget = {"requests": 3, "per_seconds": HOUR, "reserve": 0}
        more = {"match": "outreach_id", "budget": budget, "directory": {"refresh_minutes": 60}}
        with job(tmp_path, sandbox, clock, **more) as (scheduler, ledger):
            for number in range(1, 7):
                body = {"outreach_id": number, "segment": "seg-a", "status": "realized"}
                now = round(clock() * 1e6)
                message = Message("s", f"p{number}", now, LIVE, json.dumps(body).encode())
                receive(ledger, [message], now)
            scheduler.take_in_messages()
            clock.now += 10
            turn(scheduler)
            assert reads(sandbox) == []
            clock.now += HOUR + 60
            turn(scheduler)
            clock.now += HOUR + 60
            turn(scheduler)
        methods = [each.method for each in sandbox.requests()]
        assert methods[:7] == ["PATCH"] * 6 + ["GET"]
        assert sandbox.violations() == []
