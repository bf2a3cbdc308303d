"""The ``clear`` command: a field out of use, emptied wherever it holds something."""

from __future__ import annotations

import json
import os
import sys

import click

from pipeline.console import logs
from pipeline.console.exit_status import DEAD_LETTERS, DONE, FAILED, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.io.paths import check_paths
from transforms.errors import ConfigurationError


@click.command("clear")
@click.argument("target", metavar="FIELD|SEGMENT")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("ledger", required=True, metavar="PATH", help="The ledger that keeps the directory.")
@flag("to", metavar="VALUE", help="What to put there, in place of nothing.")
@flag("yes", is_flag=True, help="Do it without asking.")
@flag("force", is_flag=True, help="Even if an audience of the destination owns the field.")
def clear_command(
    target: str, destination: str, ledger: str, to: str | None, yes: bool, force: bool
) -> None:
    """Empties FIELD, or the field that the audience SEGMENT was written to.

    The org is read first, so that only those are written who hold something. It says how many
    prospects and requests that are, and asks.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        from pipeline.jobs.org.clearing import clear, field_to_clear  # noqa: PLC0415 - Beam is slow

        check_paths(inputs=(), destination=destination, ledger=ledger, outputs=())
        found = load_destination(destination, os.environ)
        found.secrets(os.environ)
        field = field_to_clear(found, ledger, target, force=force)

        def agrees(question: str) -> bool:
            console.print(question)
            if yes:
                return True
            if not sys.stdin.isatty():
                raise ConfigurationError("nobody can be asked here; say --yes to do it")
            return click.confirm("Do it?", err=True)

        done = clear(found, ledger, field, to, console, agrees)
        if not done["prospects"] and done["complete"]:
            console.print(f"no prospect holds anything else in {field}: nothing to do")
        click.echo(json.dumps(done))
    if done["prospects"] and not done["agreed"]:
        raise SystemExit(DONE)
    if not done["complete"]:
        raise SystemExit(FAILED)
    raise SystemExit(DEAD_LETTERS if done["rejected"] else DONE)
