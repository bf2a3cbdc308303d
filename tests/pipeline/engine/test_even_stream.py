"""A live stream that never fits its budget goes out evenly, and what fits goes out at once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.ledger.inbox import LIVE
from pipeline.sandbox import SandboxOptions, running_sandbox
from tests.support.in_process.scheduling import HOUR, arrive, scheduled
from tests.support.servers.sandbox_client import Clock

pytestmark = pytest.mark.real

STEP = 30.0
REQUESTS = 600
"""An hour's budget: five in each step of so many seconds."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sent_each_step(
    folder: Path, clock: Clock, each_step: int, steps: int, prospects: int
) -> list[int]:
    """How many requests were made in each step of a stream that begins at once.

    Args:
      folder: for the job's files.
      clock: as of the job.
      each_step: changes that come in a step, of prospects at random.
      steps: how long.
      prospects: how many there are.
    """
    chosen = random.Random(1)
    sent: list[int] = []
    options = SandboxOptions(prospects=prospects, limit=REQUESTS, hour=HOUR, window="sliding")
    with (
        running_sandbox(options, clock) as sandbox,
        scheduled(folder, sandbox, clock, REQUESTS) as (scheduler, ledger),
    ):
        before = 0
        for step in range(steps):
            some = [chosen.randrange(prospects) + 1 for _ in range(each_step)]
            arrive(ledger, clock, some, LIVE, "exited" if step % 2 else "realized")
            clock.now += STEP
            scheduler.take_in_messages()
            while scheduler.deliver():
                pass
            now = len(sandbox.requests())
            sent.append(now - before)
            before = now
        assert sandbox.violations() == []
    return sent


def test_a_stream_of_twice_the_budget_is_never_kept_waiting_for_long(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")

    sent = sent_each_step(tmp_path, clock, each_step=10, steps=160, prospects=200)

    # If all is sent as early as may be, nothing is sent in the second half of the hour.
    some_minutes = [sum(sent[start : start + 8]) for start in range(0, len(sent), 8)]
    assert min(some_minutes) >= 30, some_minutes
    assert sum(sent[:120]) >= 0.97 * REQUESTS


def test_a_stream_that_fits_is_sent_as_it_comes(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")

    sent = sent_each_step(tmp_path, clock, each_step=4, steps=90, prospects=10_000)

    assert max(sent) <= 8
    assert sum(sent) >= 350
