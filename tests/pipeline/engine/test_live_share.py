"""A backfill leaves its share of each user's budget to what happens now."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.inbox import BACKFILL, LIVE, Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.program import write_destination
from tests.support.sandbox_client import Clock

pytestmark = pytest.mark.real

HOUR = 3_600.0
_numbers = iter(range(1, 10**6))


@contextmanager
def job(
    folder: Path, sandbox: Sandbox, clock: Clock, requests: int = 200, **delivery: object
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    write_destination(
        folder,
        sandbox.url,
        {"a": 4},
        budget={"requests": requests, "per_seconds": HOUR, "reserve": 0},
        delivery={"hold_seconds": 5, **delivery},
        directory={"refresh_minutes": 0},
        reconcile={"every_hours": 0},
    )
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    config = replace(
        engine_config(destination, Place.of(destination), None), clock=clock, hold_seconds=5.0
    )
    with owned(path), closing(connect(path)) as ledger, closing(Scheduler(ledger, config)) as one:
        yield one, ledger


def arrive(ledger: sqlite3.Connection, clock: Clock, prospects: range, lane: int) -> None:
    now = round(clock() * 1e6)
    receive(
        ledger,
        [
            Message(
                "s",
                f"m{next(_numbers)}",
                now,
                lane,
                json.dumps({"outreach_id": each, "segment": "a", "status": "realized"}).encode(),
            )
            for each in prospects
        ],
        now,
    )


def turn(scheduler: Scheduler) -> None:
    scheduler.take_in_messages()
    while scheduler.deliver():
        pass


def writes(sandbox: Sandbox) -> Counter[str]:
    live = [each for each in sandbox.requests() if each.method == "PATCH"]
    return Counter("live" if int(each.path.rsplit("/", 1)[1]) > 1_000 else "back" for each in live)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(("share", "left", "live"), [(0.1, 20, 20), (0.5, 100, 90)])
def test_a_live_change_goes_at_once_whatever_the_backfill_has_spent(
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    left: int,
    live: int,
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    options = SandboxOptions(prospects=2_000, limit=200, hour=HOUR, window="sliding")
    with (
        running_sandbox(options, clock) as sandbox,
        job(tmp_path, sandbox, clock, live_share=share) as (scheduler, ledger),
    ):
        arrive(ledger, clock, range(1, 900), BACKFILL)
        scheduler.take_in_messages()
        clock.now += 5
        turn(scheduler)
        spent = len(sandbox.requests())
        assert 200 - left - 5 <= spent <= 200 - left
        assert (scheduler.next_at() or 0) > clock.now, "it waits, and does not ask in circles"
        clock.now += 60
        arrive(ledger, clock, range(1_001, 1_001 + live), LIVE)
        scheduler.take_in_messages()
        clock.now += 5
        turn(scheduler)
        assert writes(sandbox)["live"] == live
        assert sandbox.violations() == []


def test_what_is_live_may_spend_all_of_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    options = SandboxOptions(prospects=2_000, limit=200, hour=HOUR, window="sliding")
    with (
        running_sandbox(options, clock) as sandbox,
        job(tmp_path, sandbox, clock) as (scheduler, ledger),
    ):
        arrive(ledger, clock, range(1_001, 1_900), LIVE)
        scheduler.take_in_messages()
        clock.now += 5
        turn(scheduler)
        assert len(sandbox.requests()) == 200
        assert sandbox.violations() == []


def test_a_backfill_goes_on_as_its_part_comes_free_and_ends(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    options = SandboxOptions(prospects=2_000, limit=200, hour=HOUR, window="sliding")
    with (
        running_sandbox(options, clock) as sandbox,
        job(tmp_path, sandbox, clock) as (scheduler, ledger),
    ):
        arrive(ledger, clock, range(1, 501), BACKFILL)
        scheduler.take_in_messages()
        for _ in range(400):
            at = scheduler.next_at()
            if at is None:
                break
            clock.now = max(clock.now + 60, at)
            turn(scheduler)
        assert writes(sandbox)["back"] == 500
        assert sandbox.violations() == []


def test_a_backfill_gets_one_in_ten_where_live_changes_take_all_there_is(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    options = SandboxOptions(prospects=2_000, limit=20, hour=HOUR, window="sliding")
    with (
        running_sandbox(options, clock) as sandbox,
        job(tmp_path, sandbox, clock, 20) as (scheduler, ledger),
    ):
        for number in range(400):
            if number == 40:
                arrive(ledger, clock, range(1, 300), BACKFILL)
            # Twice what the budget allows, so that it is spent as it comes free.
            arrive(ledger, clock, range(1_001 + 2 * number, 1_003 + 2 * number), LIVE)
            scheduler.take_in_messages()
            clock.now += HOUR / 20
            scheduler.deliver()
        found = writes(sandbox)
        assert found["live"] > 150
        assert 0.08 <= found["back"] / found["live"] <= 0.12
        assert sandbox.violations() == []
