"""Replays through a ledger: interrupted, they go on where they stopped."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipeline.console import progress
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import PATCHES_MOST, EngineConfig, engine_config
from pipeline.engine.maintenance import Pruning
from pipeline.engine.outputs import Outputs, begin_outputs
from pipeline.engine.scheduler import Scheduler
from pipeline.html_report.page import report_page, write_report
from pipeline.io.files import expand
from pipeline.io.headers import check_headers
from pipeline.io.scratch import copied_ledger
from pipeline.io.targets import prepare
from pipeline.jobs.batch import Replay, unhurried_gc
from pipeline.jobs.file_replay import FileReplay
from pipeline.jobs.org.pulling import OrgJob, know_the_org, load_directory
from pipeline.jobs.report import RunResult
from pipeline.jobs.signals import StopSignal, stopping
from pipeline.ledger import waiting
from pipeline.ledger.directory import unresolved
from pipeline.ledger.guard import holds
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.store import connect, looked_at, owned
from pipeline.monitoring.alert_rules import describe, would_be_held
from pipeline.summary import with_unmapped
from transforms.clock import steady
from transforms.errors import ActivationError, ConfigurationError
from transforms.mapping import Mapping

TURN_SECONDS = 60.0
"""What a turn of a replay aims to take: nothing arrives meanwhile."""
WAIT_SECONDS = 10.0
"""How long it waits at most before it looks again."""
WAIT_LEAST_SECONDS = 0.02
"""And at least: no rounding of times is to make it ask in circles."""


def replay_durably(
    destination: Destination, place: Place, asked: Replay, console: Console
) -> RunResult:
    """Delivers the changes of files through a ledger; as of `pipeline.jobs.batch.replay`.

    Interrupted, it leaves what is undone in the ledger, and the same call goes on with it. A dry
    run works on a copy, and says what would be done: the ledger is read and left as it is.

    Raises:
      ConfigurationError: as of `replay`, and if the ledger is in use or cannot be used.
      AccountingError: changes and outcomes do not add up.
      ActivationError: a file cannot be read to its end, or the ledger or an output written.
      ValueError: no ledger is named.
    """
    began = steady()
    if asked.ledger is None:
        raise ValueError("a durable replay needs a ledger")
    lane = BACKFILL if asked.backfill else LIVE
    paths = expand(asked.files)
    check_headers(paths, asked.columns, destination.identity.match)
    replayed = FileReplay(paths, lane, asked.digests, asked.columns)
    board = progress.fresh_board()
    stop_signal = StopSignal()
    with ExitStack() as stack:
        path = stack.enter_context(copied_ledger(asked.ledger)) if asked.dry_run else asked.ledger
        stack.enter_context(owned(path))
        ledger = stack.enter_context(closing(connect(path, lasting=asked.lasting)))
        try:
            resumed = replayed.begin(ledger, began, anew=asked.dry_run)
            asked_before = {each.segment for each in holds(ledger) if not each.released_at}
            if resumed:
                console.print(f"going on with the replay that {escape(str(asked.ledger))} knows of")
            outputs = begin_outputs(
                asked.receipts,
                asked.dead_letters,
                ledger,
                afresh=asked.dry_run or not resumed,
                lasting=False,
            )
            config = _config(destination, place, asked)
            if asked.directory is not None:
                load_directory(ledger, asked.directory, hashed=config.directory.hashed)
            with (
                closing(Scheduler(ledger, config, outputs.write_files)) as scheduler,
                progress.shown(console, board),
                stopping(board, stop_signal, console),
                unhurried_gc(),
            ):
                job = OrgJob(ledger, config, scheduler, stop_signal)
                ended = _deliver(job, replayed, asked, outputs, console)
            if ended:
                outputs.finish()
            else:
                outputs.write()
            left = waiting.count(ledger) + unresolved.count(ledger)
            summary = with_unmapped(
                replayed.summary(ledger, steady() - began),
                replayed.unmapped(ledger),
                Mapping(config.plan),
            )
            finished = RunResult(
                {**summary, "dry_run": True} if asked.dry_run else summary,
                replayed.reasons(ledger),
                left,
                scheduler.problems,
                outputs.earlier,
                asked.ledger,
                [
                    describe(each, asked.ledger)
                    if each.segment in asked_before or not asked.dry_run
                    else would_be_held(each)
                    for each in holds(ledger)
                    if not each.released_at
                ],
                interrupted=not ended,
                resumed=resumed and not asked.dry_run,
            )
            if asked.report is not None:
                title = f"{destination.name}: {', '.join(Path(each).name for each in paths)}"
                page = report_page(replayed.activity(ledger), title, finished.summary, steady())
                prepare(asked.report, "report")
                write_report(asked.report, page)
            if ended and not left:
                replayed.end(ledger)
            # Last of all: a replay that was begun long ago tells of what goes now.
            if ended and asked.lasting and not asked.dry_run:
                tidy = Pruning(ledger, destination, outputs.targets, config.clock)
                with stopping(board, stop_signal, console):
                    tidy.tidy(steady() - began, lambda: stop_signal.stopped)
        except sqlite3.OperationalError as problem:
            raise ActivationError(
                f"the ledger {asked.ledger} cannot be written: {problem}; once it can, the same"
                " command goes on with what is undone"
            ) from problem
    return finished


def _config(destination: Destination, place: Place, asked: Replay) -> EngineConfig:
    config = replace(
        engine_config(destination, place, progress.watch),
        turn_seconds=TURN_SECONDS,
        patches_first=PATCHES_MOST,
        dry_run=asked.dry_run,
    )
    # Nothing arrives meanwhile, and nobody is to wait for a refresh that comes by itself.
    config = replace(config, directory=replace(config.directory, at_once=True))
    if asked.mirror is not None:
        config = replace(config, plan=replace(config.plan, mirrored=asked.mirror))
    return config


def _deliver(
    job: OrgJob, replayed: FileReplay, asked: Replay, outputs: Outputs, console: Console
) -> bool:
    """Takes the files in and delivers all that can be; returns False if it was stopped before."""
    scheduler, ledger = job.scheduler, job.ledger
    if not know_the_org(job, console):
        return False
    if not replayed.take_in(scheduler, ledger, job.stop_signal):
        return False
    if asked.dry_run:
        scheduler.org.give_up()
    while asked.mirror is not None and scheduler.org.is_waited_for:
        if job.stop_signal.stopped:
            return False
        if not scheduler.tend():  # Whoever is in the files is to be known first.
            rest = scheduler.org.next_request_at() - job.config.clock()
            job.stop_signal.wait(min(WAIT_SECONDS, max(WAIT_LEAST_SECONDS, rest)))
    if asked.mirror is not None:
        left = scheduler.mirror(replayed.whole(job.config.plan, asked.mirror, ledger))
        console.print(f"{left:,} members are not in the files and leave")
    return deliver_all(scheduler, job.stop_signal, outputs, job.config)


def has_receipts(path: str) -> bool:
    """Whether a ledger tells of anything that was done."""
    try:
        with looked_at(path) as ledger:
            return ledger.execute("SELECT 1 FROM receipts LIMIT 1").fetchone() is not None
    except (ConfigurationError, sqlite3.DatabaseError):
        return False


def deliver_all(
    scheduler: Scheduler, stop_signal: StopSignal, outputs: Outputs, config: EngineConfig
) -> bool:
    """Delivers until all that is left needs a person; returns False if it was stopped before."""
    while not stop_signal.stopped:
        busy = scheduler.deliver()
        busy |= scheduler.tend()
        outputs.write()
        if busy:
            continue
        at = scheduler.next_at(paused=False)
        if at is None:
            return True
        progress.rest(scheduler.standings())
        stop_signal.wait(min(WAIT_SECONDS, max(WAIT_LEAST_SECONDS, at - config.clock())))
    return False
