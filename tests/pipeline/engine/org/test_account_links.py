"""Accounts of prospects, in a job that never ends: first, together, and remembered for a while."""

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
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.org import address, people, write_org
from tests.support.servers.sandbox_client import Clock

pytestmark = pytest.mark.real

DAY = 86_400.0
_numbers = iter(range(1, 10**6))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(), clock) as running:
        running.seed(people(5))
        running.seed({11: {"name": "Acme", "domain": "acme.com"}}, "account")
        yield running


@contextmanager
def job(
    folder: Path, sandbox: Sandbox, clock: Clock, match: str = "outreach_id"
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    write_org(
        folder,
        sandbox.url,
        match=match,
        attributes=[{"source": "site", "target": "account_domain"}],
        directory={"refresh_minutes": 0, "full_days": 2},
        reconcile={"every_hours": 0},
    )
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    config = replace(engine_config(destination, Place.of(destination), None), clock=clock)
    with owned(path), closing(connect(path)) as ledger, closing(Scheduler(ledger, config)) as one:
        yield one, ledger


def arrive(ledger: sqlite3.Connection, clock: Clock, whom: int | str, site: str) -> None:
    body = {
        "outreach_id" if isinstance(whom, int) else "email": whom,
        "segment": "seg-a",
        "status": "realized",
        "attributes": {"site": site},
    }
    now = round(clock() * 1e6)
    message = Message("s", f"m{next(_numbers)}", now, LIVE, json.dumps(body).encode())
    receive(ledger, [message], now)


def turn(scheduler: Scheduler) -> None:
    for _ in range(10):
        busy = scheduler.take_in_messages()
        busy |= scheduler.deliver()
        if not (busy | scheduler.tend()):
            return
    raise AssertionError("it does not come to rest")


def asked(sandbox: Sandbox) -> list[str]:
    return [f"{each.method} {each.path.split('/')[3]}" for each in sandbox.requests()]


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")


def test_nothing_of_a_prospect_is_sent_before_its_account_is_asked_for_in_company(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        arrive(ledger, clock, 1, "acme.com")
        turn(scheduler)
        clock.now += LOOK_SECONDS - 1
        arrive(ledger, clock, 2, "new.com")
        turn(scheduler)
        assert asked(sandbox) == []
        assert scheduler.next_at() is not None
        clock.now += 1
        turn(scheduler)
        # Nobody has new.com: the other field went.
        assert asked(sandbox) == ["GET accounts", "PATCH prospects", "PATCH prospects"]
        assert sandbox.prospects()[1]["account"] == 11
        assert sandbox.prospects()[2] == {**people(2)[2], "custom4": "realized"}


def test_an_account_is_remembered_for_as_long_as_the_directory_goes_without_reading_everybody(
    tmp_path: Path, sandbox: Sandbox, clock: Clock
) -> None:
    with job(tmp_path, sandbox, clock) as (scheduler, ledger):
        for prospect, days, expected in ((1, 0, 1), (2, 1, 1), (3, 1.5, 2)):
            clock.now += days * DAY
            arrive(ledger, clock, prospect, "acme.com")
            for seconds in (0, LOOK_SECONDS):
                clock.now += seconds
                turn(scheduler)
            assert asked(sandbox).count("GET accounts") == expected
            assert sandbox.prospects()[prospect]["account"] == 11


def test_where_accounts_may_not_be_read_addresses_are_looked_up_all_the_same(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scopes = ("prospects.read", "prospects.write")
    with (
        running_sandbox(SandboxOptions(scopes=scopes), clock) as sandbox,
        job(tmp_path, sandbox, clock, "email") as (scheduler, ledger),
    ):
        sandbox.seed(people(1))
        turn(scheduler)
        arrive(ledger, clock, address(1), "acme.com")
        turn(scheduler)
        clock.now += LOOK_SECONDS
        turn(scheduler)
        assert "accounts.read" in caplog.text
        assert "custom4" not in sandbox.prospects()[1]
        sandbox.seed({2: {"emails": ["new@example.com"]}})
        arrive(ledger, clock, "new@example.com", "")
        turn(scheduler)
        clock.now += LOOK_SECONDS
        turn(scheduler)
        assert sandbox.prospects()[2]["custom4"] == "realized"
