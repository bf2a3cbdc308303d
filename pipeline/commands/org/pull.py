"""The ``pull`` command: the prospects of the org, into a ledger's directory."""

from __future__ import annotations

import json
import os

import click

from pipeline.console import logs
from pipeline.console.exit_status import DONE, FAILED, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.io.paths import check_paths


@click.command("pull")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("ledger", required=True, metavar="PATH", help="The ledger that keeps the directory.")
@flag("output", metavar="FILE", help="Where the directory is written too, for --directory.")
@flag("full", is_flag=True, help="Read everybody, not only who was updated since the last time.")
def pull_command(destination: str, ledger: str, output: str | None, full: bool) -> None:
    """Reads the prospects that the users may see, 1,000 with one request.

    Their ids, addresses, external ids and mapped fields are kept in the ledger: by them prospects
    are found, and what Outreach holds already costs no request. Interrupted, the same command goes
    on where it was.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        from pipeline.jobs.org.pulling import pull  # noqa: PLC0415 - Beam takes a second

        check_paths(
            inputs=(), destination=destination, ledger=ledger, outputs=(("--output", output),)
        )
        found = load_destination(destination, os.environ)
        found.secrets(os.environ)
        summary = pull(found, ledger, output, console, full=full)
        click.echo(json.dumps(summary))
    raise SystemExit(DONE if summary["complete"] else FAILED)
