"""The ``plan`` command: what delivering some files takes, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from pipeline.console import logs
from pipeline.console.columns import parse_columns
from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.io.paths import check_paths
from pipeline.io.scratch import scratch


@click.command("plan")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("ledger", metavar="PATH", help="What it knows need not be sent; it is left as it is.")
@flag(
    "columns",
    metavar="NAMES",
    help='What the columns of CSV files are called: outreach_id="Prospect ID",segment=Audience.',
)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def plan_command(
    files: Sequence[str], destination: str, ledger: str | None, columns: str | None, as_json: bool
) -> None:
    """Says what delivering the changes in FILEs takes: prospects, requests, hours, by audience.

    It is exact where the ledger has a fresh directory of the org (`pull`), and an upper bound
    elsewhere. What waits in the ledger already counts too, as it goes by the same budget. Needs no
    credentials, and sends nothing.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        from pipeline.jobs.planning import plan_delivery  # noqa: PLC0415 - Beam takes a second

        check_paths(inputs=files, destination=destination, ledger=ledger)
        found = load_destination(destination)
        named = tuple({**dict(found.columns.pairs), **dict(parse_columns(columns))}.items())
        with scratch() as made:
            planned = plan_delivery(found, made.spooled(files), ledger, named)
        if as_json:
            click.echo(json.dumps(planned.as_json()))
        else:
            planned.tell(console)
    raise SystemExit(DONE)
