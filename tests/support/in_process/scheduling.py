"""A scheduler over a ledger on a clock that the test sets, with the sandbox as Outreach."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.inbox import Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.sandbox import Sandbox
from tests.support.processes.program import write_destination
from tests.support.servers.sandbox_client import Clock

HOUR = 3_600.0
_numbers = count(1)


@contextmanager
def scheduled(
    folder: Path, sandbox: Sandbox, clock: Clock, requests: int = 200, **delivery: object
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    """A scheduler that writes audience ``a``, with its ledger.

    It does not read the org, and holds no exits.

    Args:
      folder: for its files.
      sandbox: that it writes to.
      clock: its own.
      requests: of the budget in an hour, all of which may be spent.
      delivery: keys of the destination's `delivery`.
    """
    write_destination(
        folder,
        sandbox.url,
        {"a": 4},
        budget={"requests": requests, "per_seconds": HOUR, "reserve": 0},
        delivery={"hold_seconds": 5, **delivery},
        directory={"refresh_minutes": 0},
        reconcile={"every_hours": 0},
        guard={"max_exit_percent": 100},
    )
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    config = replace(
        engine_config(destination, Place.of(destination), None), clock=clock, hold_seconds=5.0
    )
    with owned(path), closing(connect(path)) as ledger, closing(Scheduler(ledger, config)) as one:
        yield one, ledger


def arrive(
    ledger: sqlite3.Connection,
    clock: Clock,
    prospects: Iterable[int],
    lane: int,
    status: str = "realized",
) -> None:
    """A message a prospect comes into the inbox."""
    now = round(clock() * 1e6)
    receive(
        ledger,
        [
            Message(
                "s",
                f"m{next(_numbers)}",
                now,
                lane,
                json.dumps({"outreach_id": each, "segment": "a", "status": status}).encode(),
            )
            for each in prospects
        ],
        now,
    )


def turn(scheduler: Scheduler) -> None:
    """Takes in what arrived, and sends what may be sent."""
    scheduler.take_in_messages()
    while scheduler.deliver():
        pass
