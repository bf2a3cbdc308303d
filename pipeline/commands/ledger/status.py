"""The ``status`` command: what has happened and what is waiting, from the ledger."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import orjson
from rich.live import Live

from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import looked_at, owner
from pipeline.monitoring.counts import Counts
from pipeline.monitoring.status_view import StatusData, as_json, page
from transforms.errors import ConfigurationError

REFRESH_SECONDS = 2.0
"""How often ``--watch`` looks again."""


@click.command("status")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
@flag("json", is_flag=True, help="One JSON object instead of tables.")
@flag("watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def status_command(ledger: str, json: bool, watch: bool) -> None:
    """Says what has happened and what is waiting.

    What became of each audience, what waits by audience and user, each
    user's budget, when nothing will wait any more, the
    last hour's outcomes and the last errors. It only reads the ledger, whoever works on it.
    """
    with failing_plainly(Screen(stderr=True)):
        try:
            with looked_at(ledger) as connection:
                show(ledger, connection, json=json, watch=watch)
        except KeyboardInterrupt:
            if not watch:
                raise
        except sqlite3.OperationalError as problem:
            raise ConfigurationError(f"ledger {ledger} cannot be read: {problem}") from problem
    raise SystemExit(DONE)


def show(ledger: str, connection: sqlite3.Connection, *, json: bool, watch: bool) -> None:
    """Prints how things stand, once or again and again.

    Where it is watched and standard output is no terminal, one after the other is printed.
    """
    console = Screen()

    file, counts = Path(ledger).resolve(), Counts(ledger)
    log = file.with_name(f"{file.name}-wal")

    def look() -> StatusData:
        return StatusData(
            read_snapshot(connection, time.time()),
            ledger,
            owner(ledger),
            file.stat().st_size,
            log.stat().st_size if log.exists() else 0,
            counts.read(),
        )

    if json:
        _repeat(lambda: _print_line(orjson.dumps(as_json(look()))), watch=watch)
    elif watch and console.is_terminal:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            _repeat(lambda: live.update(page(look()), refresh=True), watch=True)
    else:
        _repeat(lambda: console.print(page(look()), crop=False), watch=watch)


def _print_line(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _repeat(show_once: Callable[[], None], *, watch: bool) -> None:
    show_once()
    while watch:
        time.sleep(REFRESH_SECONDS)
        show_once()
