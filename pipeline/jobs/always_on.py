"""The always-on job on one machine: a subscription through a ledger, until it is stopped."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape

from pipeline.console import progress
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.door.server import DoorOptions, check_door
from pipeline.engine.config import EngineConfig, engine_config
from pipeline.engine.maintenance import Maintenance, Pruning
from pipeline.engine.outputs import Outputs, begin_outputs
from pipeline.engine.pubsub_ingest import MESSAGES_UNDER_WAY
from pipeline.engine.scheduler import Scheduler
from pipeline.io.scratch import copied_ledger
from pipeline.io.targets import check_subscription
from pipeline.jobs.inlets import Inlets
from pipeline.jobs.ledger_replay import WAIT_LEAST_SECONDS
from pipeline.jobs.report import RunResult
from pipeline.jobs.signals import StopSignal, stopping
from pipeline.ledger import history, waiting
from pipeline.ledger.inbox import BYTES_AT_ONCE
from pipeline.ledger.store import connect, owned
from pipeline.monitoring.connectivity import Troubles
from pipeline.monitoring.health import Health
from pipeline.monitoring.http_server import serving
from pipeline.operator_page.server import operator_page
from pipeline.summary import ledger_summary, segments_since, with_unmapped
from transforms.clock import steady
from transforms.mapping import Mapping

_log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a loop waits at most before it looks after the ledger again."""
DOOR_INTAKE_BYTES = 128 * 1024
"""Taken in at once where a door is open: what is posted meanwhile is answered after it."""
DISK_SECONDS = 10.0
"""How long it waits after the disk refused a commit."""


@dataclass(frozen=True, slots=True)
class AlwaysOn:
    """What `run` was asked for.

    Attributes:
      subscription: ``projects/P/subscriptions/S``; None where all comes through the door.
      door: where platforms may post their changes; None for nowhere.
      ledger: its path.
      receipts: path or topic; None for none.
      dead_letters: path or topic; None for none.
      metrics_port: where metrics are served; None for nowhere.
      metrics_host: on which of this machine's addresses.
      page_port: where the operator's page is served on this machine; None for nowhere.
      page_token_env: the variable with the token for its buttons; None for one that is made.
      page_private: whether reading it needs the token too.
      dry_run: everything but the requests. Nothing is acknowledged either, so that what was only
        looked at is delivered by the next run; and the ledger is read and left as it is.
    """

    subscription: str | None
    ledger: str | None
    receipts: str | None = None
    dead_letters: str | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    dry_run: bool = False
    door: DoorOptions | None = None
    page_port: int | None = None
    page_token_env: str | None = None
    page_private: bool = False


def run(destination: Destination, asked: AlwaysOn, console: Console) -> RunResult:
    """Delivers what a subscription brings, until a signal says stop.

    Returns:
      What came of all that was taken in since the start, or waited already.

    Raises:
      ConfigurationError: the ledger is in use or cannot be used, an output cannot be written,
        or the subscription is none or cannot be pulled from.
      ActivationError: pulling ended by itself; what came is in the ledger.
    """
    if asked.subscription is not None:
        check_subscription(asked.subscription)
    if asked.door is not None:
        check_door(destination, asked.door, os.environ)
    began = steady()
    board = progress.fresh_board()
    stop_signal = StopSignal()
    with ExitStack() as stack:
        path = (
            stack.enter_context(copied_ledger(asked.ledger)) if asked.dry_run else str(asked.ledger)
        )
        stack.enter_context(stopping(board, stop_signal, console))
        stack.enter_context(owned(path))
        ledger = stack.enter_context(closing(connect(path)))
        outputs = begin_outputs(
            asked.receipts, asked.dead_letters, ledger, afresh=asked.dry_run, lasting=True
        )
        config = replace(
            engine_config(destination, Place.of(destination), progress.watch),
            hold_seconds=destination.delivery.hold_seconds,
            announce=None,  # Nobody looks, and to count what waits takes time.
            dry_run=asked.dry_run,
            intake_bytes=BYTES_AT_ONCE if asked.door is None else DOOR_INTAKE_BYTES,
        )
        inlets = Inlets(
            destination,
            asked.subscription,
            asked.door,
            path,
            stop_signal.wake,
            config.clock,
            acknowledges=not asked.dry_run,
        )
        pruning = Pruning(ledger, destination, outputs.targets, config.clock)
        health = Health(config.clock, lambda: inlets.failure, config.clock())
        troubles = Troubles()
        maintenance = Maintenance.over(ledger, path, destination, config.guard, health)

        def look_after(scheduler: Scheduler) -> None:
            inlets.check()
            troubles.look(scheduler.troubles)
            if not asked.dry_run:
                pruning.look_after()
                maintenance.look()

        before = history.totals(ledger)
        before["waiting"] = waiting.count(ledger)
        last_dead_letter = history.last_dead_letter(ledger)
        with closing(Scheduler(ledger, config, outputs.write_files)) as scheduler:
            if asked.metrics_port is not None:
                where = (asked.metrics_host, asked.metrics_port)
                url = stack.enter_context(serving(*where, path, health))
                console.print(f"metrics at {url}/metrics, health at {url}/healthz")
            _serve_page(stack, asked, path, inlets, console)
            inlets.open(stack, console)
            if asked.dry_run:
                console.print(
                    f"dry run: looks at {MESSAGES_UNDER_WAY:,} messages at most, and leaves them"
                    " in the subscription"
                )
            try:
                keep_on(scheduler, stop_signal, outputs, config, look_after)
            finally:
                inlets.close()
            # What there is no time for is written when it is started again.
            outputs.write(min(1.0, stop_signal.seconds_left))
            left = waiting.count(ledger)
            after = history.totals(ledger)
            summary = with_unmapped(
                ledger_summary(before, after, left, steady() - began),
                segments_since(before, after),
                Mapping(config.plan),
            )
            return RunResult(
                {**summary, "dry_run": True} if asked.dry_run else summary,
                history.reasons(ledger, last_dead_letter),
                left,
                scheduler.problems,
                {},
                ledger=asked.ledger,
            )


def _serve_page(
    stack: ExitStack, asked: AlwaysOn, ledger: str, inlets: Inlets, console: Console
) -> None:
    """Serves the operator's page for as long as the stack is open, if it was asked for."""
    if asked.page_port is None:
        return
    at = ("127.0.0.1", asked.page_port, "--page_port")
    page = stack.enter_context(
        operator_page(
            ledger,
            *at,
            os.environ,
            asked.page_token_env,
            private=asked.page_private,
            refusals=None if inlets.refusals is None else inlets.refusals.read,
        )
    )
    token = "" if page.token is None else f", token for its buttons: {page.token}"
    console.print(escape(f"page at {page.url}{token}"))


def keep_on(
    scheduler: Scheduler,
    stop_signal: StopSignal,
    outputs: Outputs,
    config: EngineConfig,
    look_after: Callable[[Scheduler], None],
) -> None:
    """Takes in and delivers until a signal asks it to stop.

    Args:
      scheduler: over the ledger.
      stop_signal: rung whenever something arrives.
      outputs: begun.
      config: the loop's.
      look_after: prunes, alerts and the like; called at least every `IDLE_SECONDS`.
    """
    is_refused = False
    while not stop_signal.stopped:
        try:
            busy = scheduler.take_in_messages(lambda: stop_signal.stopped)
            busy |= not stop_signal.stopped and scheduler.deliver()
            busy |= not stop_signal.stopped and scheduler.tend()
            outputs.write()
            look_after(scheduler)
        except sqlite3.OperationalError as problem:
            if not is_refused:
                _log.error("the ledger cannot be written: %s; trying again", problem)
            is_refused = True
            stop_signal.wait(DISK_SECONDS)
            continue
        if is_refused:
            _log.warning("the ledger can be written again")
            is_refused = False
        if not busy:
            at = scheduler.next_at()
            rest = IDLE_SECONDS if at is None else at - config.clock()
            stop_signal.wait(min(IDLE_SECONDS, max(WAIT_LEAST_SECONDS, rest)))
