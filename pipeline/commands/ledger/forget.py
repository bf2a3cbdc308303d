"""The ``forget`` command: a prospect out of a ledger, whoever works on it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import click

from pipeline.console.exit_status import DONE, FAILED, failing_plainly
from pipeline.console.flags import PROSPECT, flag
from pipeline.console.screen import Screen
from pipeline.io.targets import earlier_files, is_local
from pipeline.ledger.erasure import TABLES, forget, is_pending, messages_to_come, scrub
from pipeline.ledger.outbox import output_targets
from pipeline.ledger.store import amended, owned, owner, transaction

WAIT_SECONDS = 60.0
"""How long a job that runs may take to end what it has under way for a prospect."""
_LOOK_SECONDS = 0.2


@click.command("forget")
@click.argument("outreach_id", type=PROSPECT, metavar="OUTREACH_ID")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
def forget_command(outreach_id: int, ledger: str) -> None:
    """Removes the prospect OUTREACH_ID from a ledger, and its bytes from the file.

    A job that runs need not be stopped: what it has under way for the prospect is forgotten
    again when it has ended. Files of receipts and dead letters, backups, and Outreach itself
    are other places; this says which files the ledger knows of.
    """
    console = Screen(stderr=True)
    with failing_plainly(console):
        running = owner(ledger) is not None
        if running:
            console.print("waiting for the job to end what it has under way")
            done, said = forget_beside_a_job(outreach_id, ledger)
        else:
            done, said = forget_alone(outreach_id, ledger)
        click.echo(said)
    raise SystemExit(DONE if done else FAILED)


def forget_alone(outreach_id: int, ledger: str) -> tuple[bool, str]:
    """Forgets while no job runs, and keeps one from starting meanwhile."""
    with amended(ledger) as connection, owned(ledger):
        to_come = messages_to_come(connection)
        with transaction(connection, durable=True):
            removed = forget(connection, outreach_id, again=to_come > 0)
        return _ended(connection, outreach_id, removed, to_come)


def forget_beside_a_job(outreach_id: int, ledger: str) -> tuple[bool, str]:
    """Forgets at once, and has the job forget what it had under way."""
    with amended(ledger) as connection:
        with transaction(connection, durable=True):
            removed = forget(connection, outreach_id, again=True)
        until = time.monotonic() + WAIT_SECONDS
        while is_pending(connection, outreach_id) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        to_come = messages_to_come(connection) if is_pending(connection, outreach_id) else 0
        return _ended(connection, outreach_id, removed, to_come)


def _ended(
    connection: sqlite3.Connection, outreach_id: int, removed: Mapping[str, int], to_come: int
) -> tuple[bool, str]:
    scrubbed = scrub(connection)
    lines = [_removed(outreach_id, removed)]
    if is_pending(connection, outreach_id):
        what = f"{to_come:,} messages that are not taken in yet" if to_come else "what is under way"
        lines.append(
            f"It may be in {what}; the job forgets it again by itself when that has passed."
        )
    if not scrubbed:
        lines.append(
            "The write-ahead log beside the ledger is being read and still holds old pages:"
            " run this again."
        )
    files = [file for target in output_targets(connection) for file in _with_earlier(target)]
    written = f" ({', '.join(files)})" if files else ""
    lines.append(
        f"Not touched: files and topics of receipts and dead letters{written}, backups of the"
        " ledger, and Outreach itself."
    )
    return scrubbed, "\n".join(lines)


def _removed(outreach_id: int, removed: Mapping[str, int]) -> str:
    if not removed:
        return f"The ledger holds nothing of prospect {outreach_id}."
    rows = [f"  {TABLES[table]}: {count:,}" for table, count in removed.items()]
    return "\n".join([f"Prospect {outreach_id} is removed:", *rows])


def _with_earlier(target: str) -> list[str]:
    """An output, and the files that were put aside for it."""
    return [target, *map(str, earlier_files(Path(target)))] if is_local(target) else [target]
