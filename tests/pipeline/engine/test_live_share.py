"""A backfill leaves its share of each user's budget to what happens now."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.in_process.scheduling import HOUR, arrive, scheduled, turn
from tests.support.servers.sandbox_client import Clock

pytestmark = pytest.mark.real


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
        scheduled(tmp_path, sandbox, clock, live_share=share) as (scheduler, ledger),
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
        scheduled(tmp_path, sandbox, clock) as (scheduler, ledger),
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
        scheduled(tmp_path, sandbox, clock) as (scheduler, ledger),
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
        scheduled(tmp_path, sandbox, clock, 20) as (scheduler, ledger),
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
