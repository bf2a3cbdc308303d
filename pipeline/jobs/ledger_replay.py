"""Replays through a ledger: interrupted, they go on where they stopped."""

from __future__ import annotations

import json
import sqlite3
from collections import abc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline.console import progress
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import PATCHES_MOST, EngineConfig, engine_config
from pipeline.engine.maintenance import Pruning
from pipeline.engine.outputs import Outputs, begin_outputs
from pipeline.engine.scheduler import Scheduler
from pipeline.io.files import blocks, expand
from pipeline.io.headers import check_headers
from pipeline.io.scratch import copied_ledger
from pipeline.jobs.batch import Replay, unhurried_gc
from pipeline.jobs.report import RunResult
from pipeline.jobs.signals import StopSignal, stopping
from pipeline.ledger import history, waiting
from pipeline.ledger.guard import holds
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.store import connect, looked_at, owned, transaction
from pipeline.monitoring.alert_rules import describe, would_be_held
from pipeline.summary import ledger_summary, segments_since, with_unmapped
from transforms.clock import micros, steady
from transforms.elements import Block
from transforms.errors import ActivationError, ConfigurationError
from transforms.formats.context import PLACE_BITS
from transforms.formats.csv_rows import Columns
from transforms.mapping import Mapping

INTAKE_BLOCKS = 16
"""Blocks of a file that one intake takes, of about a megabyte each."""
DOCUMENT_PLACES = 1024
"""Places between two files: the elements of a document are in order among a few million."""
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
    check_headers(paths, asked.columns)
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
            config = replace(
                engine_config(destination, place, progress.watch),
                turn_seconds=TURN_SECONDS,
                patches_first=PATCHES_MOST,
                dry_run=asked.dry_run,
            )
            with (
                closing(Scheduler(ledger, config, outputs.write_files)) as scheduler,
                progress.shown(console, board),
                stopping(board, stop_signal, console),
                unhurried_gc(),
            ):
                ended = replayed.take_in(scheduler, ledger, stop_signal)
                ended = ended and deliver_all(scheduler, stop_signal, outputs, config)
            if ended:
                outputs.finish()
            else:
                outputs.write()
            left = waiting.count(ledger)
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


def has_receipts(path: str) -> bool:
    """Whether a ledger tells of anything that was done."""
    try:
        with looked_at(path) as ledger:
            return ledger.execute("SELECT 1 FROM receipts LIMIT 1").fetchone() is not None
    except (ConfigurationError, sqlite3.DatabaseError):
        return False


@dataclass(slots=True)
class FileReplay:
    """Files through a ledger: taken in block by block, then delivered until nothing is left.

    Attributes:
      paths: as of `pipeline.io.files.expand`.
      lane: of all that is in them.
      digests: of the files that are known by their content alone.
      columns: names for the columns of tables.
    """

    paths: Sequence[str]
    lane: int
    digests: abc.Mapping[str, str] = field(default_factory=dict)
    columns: Columns = ()

    @property
    def key(self) -> str:
        """Says which files these are, and that they are as they were."""
        return json.dumps([self._stamp(path) for path in self.paths])

    def _stamp(self, path: str) -> Sequence[str | int]:
        if path in self.digests:
            return ["-", self.digests[path]]
        local = Path(path)
        if not local.is_file():
            return [path]
        found = local.stat()
        return [str(local.resolve()), found.st_size, found.st_mtime_ns]

    def begin(self, ledger: sqlite3.Connection, now: float, *, anew: bool = False) -> bool:
        """Notes the start, unless it was begun before; returns whether it was.

        Args:
          ledger: a connection.
          now: seconds since the epoch.
          anew: the summary is to be of what is done from now on, even if it was begun before.
        """
        with transaction(ledger):
            found = ledger.execute("SELECT 1 FROM replays WHERE files = ?", (self.key,)).fetchone()
            before = history.totals(ledger)
            before["waiting"] = waiting.count(ledger)
            before["dead_letters"] = history.last_dead_letter(ledger)
            if found is not None and anew:
                ledger.execute(
                    "UPDATE replays SET totals = ? WHERE files = ?", (json.dumps(before), self.key)
                )
            elif found is None:
                # Published now, and so after all that came before, whatever the clock said then.
                last = waiting.last_sequence(ledger) >> PLACE_BITS
                position = max(micros(now), last + 1)
                ledger.execute(
                    "INSERT INTO replays (files, position, blocks, totals) VALUES (?, ?, 0, ?)",
                    (self.key, position, json.dumps(before)),
                )
        return found is not None

    def take_in(
        self, scheduler: Scheduler, ledger: sqlite3.Connection, stop_signal: StopSignal
    ) -> bool:
        """Takes in what is not in yet; returns whether all is."""
        position, done = ledger.execute(
            "SELECT position, blocks FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        rest = islice(self._blocks(position), done, None)
        while not stop_signal.stopped:
            some = list(islice(rest, INTAKE_BLOCKS))
            if not some:
                return True
            done += len(some)
            with scheduler.taking_in(some, self.lane) as within:
                within.execute("UPDATE replays SET blocks = ? WHERE files = ?", (done, self.key))
        return False

    def end(self, ledger: sqlite3.Connection) -> None:
        """Forgets that it was begun: the same files replayed again are replayed anew."""
        with transaction(ledger):
            ledger.execute("DELETE FROM replays WHERE files = ?", (self.key,))

    def summary(self, ledger: sqlite3.Connection, seconds: float) -> dict[str, Any]:
        """The summary since it was begun, by whichever process.

        Raises:
          AccountingError: some change has no outcome, or more than one.
        """
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return ledger_summary(
            json.loads(text), history.totals(ledger), waiting.count(ledger), seconds
        )

    def unmapped(self, ledger: sqlite3.Connection) -> dict[str, int]:
        """The unmapped segments that came since it was begun, and how often each did."""
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return segments_since(json.loads(text), history.totals(ledger))

    def reasons(self, ledger: sqlite3.Connection) -> dict[str, int]:
        """How many dead letters there are since it was begun, by reason."""
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return history.reasons(ledger, json.loads(text)["dead_letters"])

    def _blocks(self, position: int) -> Iterator[Block]:
        # From the micros of its start on: what stands in a file was published when it is replayed.
        for path in self.paths:
            for block in blocks(path, position, columns=self.columns):
                position = block.position + len(block.lines)
                yield block
            position += DOCUMENT_PLACES


def deliver_all(
    scheduler: Scheduler, stop_signal: StopSignal, outputs: Outputs, config: EngineConfig
) -> bool:
    """Delivers until all that is left needs a person; returns False if it was stopped before."""
    while not stop_signal.stopped:
        sent = scheduler.deliver()
        outputs.write()
        if sent:
            continue
        at = scheduler.next_at(paused=False)
        if at is None:
            return True
        progress.rest(scheduler.standings())
        stop_signal.wait(min(WAIT_SECONDS, max(WAIT_LEAST_SECONDS, at - config.clock())))
    return False
