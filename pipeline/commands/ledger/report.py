"""The ``report`` command: what a ledger remembers, as one HTML file."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.markup import escape

from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.html_report.page import report_page, write_report
from pipeline.io.paths import check_paths
from pipeline.io.targets import prepare
from pipeline.ledger.queries.activity import read_activity
from pipeline.ledger.store import looked_at


@click.command("report")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
@flag("output", required=True, metavar="FILE.html", help="Where the report is written.")
def report_command(ledger: str, output: str) -> None:
    """Writes what a ledger remembers to one HTML file, which needs nothing else.

    A job that runs need not be stopped.
    """
    console = Screen(stderr=True)
    with failing_plainly(console):
        check_paths(ledger=ledger, outputs=(("--output", output),))
        prepare(output, "report")
        with looked_at(ledger) as connection:
            activity = read_activity(connection)
        title = f"Audience activation: {Path(ledger).name}"
        write_report(output, report_page(activity, title, None, time.time()))
        console.print(f"  report: {escape(output)}")
    raise SystemExit(DONE)
