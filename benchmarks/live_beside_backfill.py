"""How long a live change takes while a backfill spends the budget, on a clock that is set."""

from __future__ import annotations

import json
import math
import os
import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.measure import Result, destination
from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.inbox import BACKFILL, LIVE, Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.sandbox import SandboxOptions, running_sandbox
from transforms.clock import micros

BACKFILL_PROSPECTS = 100_000
LIVE_PROSPECTS = 2_000
LIVE_AN_HOUR = 600.0
"""Fewer than the tenth of the budget that a backfill leaves."""
SECONDS = 1.25 * 3_600.0
HOLD_SECONDS = 5.0
STEP_SECONDS = 1.0
"""How much later it is when Outreach has answered a turn, at the least."""


class Clock:
    """A time that stands until it is set.

    Attributes:
      now: seconds since the epoch.
    """

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def live(folder: Path) -> list[Result]:
    """100,000 prospects to fill in, and live changes of others at any time meanwhile."""
    clock = Clock()
    options = SandboxOptions(
        prospects=BACKFILL_PROSPECTS + LIVE_PROSPECTS, limit=10_000, hour=3600.0, window="sliding"
    )
    with (
        patch.dict(os.environ, {"OUTREACH_TOKEN": "bench"}),
        running_sandbox(options, clock) as sandbox,
    ):
        path = Path(destination(folder, sandbox.url, {"a": 4}, requests=9_500))
        plan = load_destination(str(path))
        config = engine_config(plan, Place.of(plan), None)
        config = replace(config, clock=clock, hold_seconds=HOLD_SECONDS)
        ledger_path = str(folder / "ledger.db")
        with (
            owned(ledger_path),
            closing(connect(ledger_path)) as ledger,
            closing(Scheduler(ledger, config)) as scheduler,
        ):
            came = _run(scheduler, ledger, clock)
        sent = {
            int(each.path.rsplit("/", 1)[1]): each.started_at
            for each in sandbox.requests()
            if each.method == "PATCH"
        }
        if sandbox.violations():
            raise RuntimeError(f"violations: {sandbox.violations()[:3]}")
    took = sorted(sent.get(prospect, math.inf) - at for prospect, at in came.items())
    p99 = took[math.ceil(0.99 * len(took)) - 1]
    back = sum(prospect > LIVE_PROSPECTS for prospect in sent)
    aim = HOLD_SECONDS + 10
    return [
        Result(
            f"from arrival to PATCH, 99 in 100 of {len(took):,} live changes beside a backfill of"
            f" {BACKFILL_PROSPECTS:,} ({back:,} of it sent meanwhile)",
            f"{p99:.1f} s",
            f"≤ {aim:.0f} s",
            p99 <= aim,
        )
    ]


def _run(scheduler: Scheduler, ledger: sqlite3.Connection, clock: Clock) -> dict[int, float]:
    """Runs both; returns when each live change arrived, by prospect."""
    began = clock.now
    _receive(
        ledger, clock, range(LIVE_PROSPECTS + 1, LIVE_PROSPECTS + BACKFILL_PROSPECTS), BACKFILL
    )
    source = random.Random("live 1")
    came: dict[int, float] = {}
    arrives_at = began + source.expovariate(LIVE_AN_HOUR / 3600)
    while clock.now < began + SECONDS:
        if clock.now >= arrives_at and len(came) < LIVE_PROSPECTS:
            prospect = len(came) + 1
            came[prospect] = arrives_at
            _receive(ledger, clock, [prospect], LIVE)
            arrives_at += source.expovariate(LIVE_AN_HOUR / 3600)
            continue
        if scheduler.take_in_messages() or scheduler.deliver():
            clock.now += STEP_SECONDS
            continue
        clock.now = min(arrives_at, max(clock.now + 0.1, scheduler.next_at() or math.inf))
    # Those that came last are not due yet.
    return {prospect: at for prospect, at in came.items() if at < began + SECONDS - 60}


def _receive(ledger: sqlite3.Connection, clock: Clock, prospects: Iterable[int], lane: int) -> None:
    now = micros(clock())
    messages = [
        Message(
            "bench",
            str(prospect),
            now,
            lane,
            json.dumps({"outreach_id": prospect, "segment": "a", "status": "realized"}).encode(),
        )
        for prospect in prospects
    ]
    receive(ledger, messages, now)
