"""Reading the org into a ledger's directory, to the end; and a directory from a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from rich.console import Console

from pipeline.console import progress
from pipeline.console.formatting import duration
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import EngineConfig, engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.io.directory_file import DirectoryHead, read_entries, read_head, write_entries
from pipeline.io.targets import prepare
from pipeline.jobs.signals import StopSignal, stopping
from pipeline.ledger import history
from pipeline.ledger.directory import entries, pulls
from pipeline.ledger.store import connect, owned, transaction
from transforms.clock import steady
from transforms.errors import ConfigurationError
from transforms.matching import BY_ID

WAIT_SECONDS = 10.0
"""How long it waits at most before it looks again."""
_TOLD_EACH = 10_000
_STORED_AT_ONCE = 5_000


class OrgJob(NamedTuple):
    """A job over a ledger that asks Outreach about the org."""

    ledger: sqlite3.Connection
    config: EngineConfig
    scheduler: Scheduler
    stop_signal: StopSignal


@contextmanager
def org_job(
    destination: Destination, place: Place, ledger: str, console: Console, also: Sequence[str] = ()
) -> Iterator[OrgJob]:
    """Holds a ledger for a command that asks about the org, until the block ends.

    Args:
      destination: whose mapped fields are of interest.
      place: which Outreach, by whom.
      ledger: its path.
      console: for people, on standard error.
      also: other fields that are to be read.

    Raises:
      ConfigurationError: the ledger is in use or cannot be used.
    """
    board = progress.fresh_board()
    stop_signal = StopSignal()
    with ExitStack() as stack:
        stack.enter_context(owned(ledger))
        connection = stack.enter_context(closing(connect(ledger)))
        config = engine_config(destination, place, progress.watch)
        fields = tuple(sorted({*config.directory.fields, *also}))
        config = replace(config, directory=replace(config.directory, at_once=True, fields=fields))
        stack.enter_context(stopping(board, stop_signal, console))
        scheduler = stack.enter_context(closing(Scheduler(connection, config)))
        yield OrgJob(connection, config, scheduler, stop_signal)


def pull(
    destination: Destination,
    ledger: str,
    output: str | None,
    console: Console,
    *,
    full: bool = False,
) -> dict[str, Any]:
    """Reads prospects into a ledger's directory until all are in, or it is stopped.

    Args:
      destination: whose mapped fields are read, by its users.
      ledger: its path.
      output: a file for the directory too; None for none.
      console: for people, on standard error.
      full: read everybody.

    Returns:
      What was read, for a program.

    Raises:
      ConfigurationError: the ledger is in use, or the file cannot be written.
      ActivationError: Outreach does not let them be read.
    """
    began = steady()
    if output is not None:
        prepare(output, "directory")
    with org_job(destination, Place.of(destination), ledger, console) as job:
        before = history.totals(job.ledger)["requests"]
        complete = refresh(job, console, full=full)
        count = entries.count(job.ledger)
        summary = {
            "prospects": count,
            "read": job.scheduler.org.pull.read,
            "requests": history.totals(job.ledger)["requests"] - before,
            "full": bool((state := pulls.state(job.ledger)) and state.is_full),
            "complete": complete,
            "seconds": round(steady() - began, 3),
        }
        console.print(
            f"{summary['read']:,} prospects read with {summary['requests']:,} requests;"
            f" {count:,} are in the directory"
        )
        if not complete:
            console.print("interrupted; the same command goes on where it was")
        elif output is not None and state is not None:
            _write(job.ledger, output, state)
            console.print(f"  directory: {output}")
    return summary


def refresh(job: OrgJob, console: Console, *, full: bool = False) -> bool:
    """Reads until the directory is fresh; returns False if it was stopped before.

    Raises:
      ActivationError: Outreach does not let prospects be read.
    """
    org, stop_signal = job.scheduler.org, job.stop_signal
    is_full = org.pull.begin(full=full)
    console.print("reading all prospects" if is_full else "reading the prospects updated since")
    org.pull.told = _telling(console)
    while not org.refresh(lambda: stop_signal.stopped):
        if stop_signal.stopped:
            return False
        wait_for_budget(job, console)
    return True


def wait_for_budget(job: OrgJob, console: Console) -> None:
    """Waits until a request can be made, or for ten seconds, or until it is to stop."""
    rest = max(0.05, job.scheduler.org.next_request_at() - job.config.clock())
    if rest > WAIT_SECONDS:
        console.print(f"  waits {duration(rest)} for the budget")
    job.stop_signal.wait(min(WAIT_SECONDS, rest))


def know_the_org(job: OrgJob, console: Console) -> bool:
    """Reads the directory before a replay that needs it; returns False if it was stopped.

    It is needed where prospects are matched by it; one that is fresh enough is taken as it is.

    Raises:
      ActivationError: Outreach does not let prospects be read.
    """
    settings = job.config.directory
    if settings.match == BY_ID or job.config.dry_run:
        return True
    state = pulls.state(job.ledger)
    fresh_at = 0.0 if state is None or state.fresh_at is None else state.fresh_at / 1e6
    if job.config.clock() - fresh_at < settings.refresh_seconds:
        return True
    return refresh(job, console)


def load_directory(ledger: sqlite3.Connection, path: str, *, hashed: bool) -> None:
    """Puts a directory's file into a ledger, as if it had been read from Outreach.

    Raises:
      ConfigurationError: it cannot be read, or is none.
    """
    head = read_head(path)
    if head.hashed and not hashed:
        raise ConfigurationError(
            f"--directory {path} holds digests in place of addresses; set directory.hash: true"
        )
    some: list[Any] = []
    with transaction(ledger):
        for entry in read_entries(path):
            some.append(entry)
            if len(some) == _STORED_AT_ONCE:
                entries.store(ledger, some, head.as_of, hashed=hashed and not head.hashed)
                some.clear()
        entries.store(ledger, some, head.as_of, hashed=hashed and not head.hashed)
        pulls.adopt(ledger, head.fields, head.as_of, hashed=hashed)


def _write(ledger: sqlite3.Connection, output: str, state: pulls.PullState) -> None:
    head = DirectoryHead(tuple(state.fields), state.hashed, state.fresh_at or 0)
    try:
        write_entries(output, head, entries.every(ledger))
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}") from error


def _telling(console: Console) -> Callable[[int], None]:
    told = 0

    def tell(read: int) -> None:
        nonlocal told
        if read - told >= _TOLD_EACH:
            told = read
            console.print(f"  {read:,} prospects")

    return tell
