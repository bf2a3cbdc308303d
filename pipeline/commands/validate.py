"""The ``validate`` command: is this destination file right, and what will it do?"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import click

from pipeline.console import logs
from pipeline.console.columns import parse_columns
from pipeline.console.exit_status import WRONG, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import DestinationError, destination_schema, load_destination
from pipeline.io.scratch import scratch
from pipeline.preflight.lint import suspicions
from pipeline.preflight.report import PreflightReport, as_json, tell
from transforms.errors import ConfigurationError
from transforms.formats.csv_rows import Columns


@click.command("validate")
@flag("destination", metavar="PATH", help="The destination file (YAML).")
@flag("live", is_flag=True, help="Ask Outreach too: tokens, scopes, and the fields written to.")
@flag("ledger", metavar="PATH", help="Look too at what it knows of fields that others use.")
@flag(
    "input",
    multiple=True,
    metavar="FILE",
    help="Changes to count: what it would take to deliver them; may be given several times.",
)
@flag(
    "columns",
    metavar="NAMES",
    help='What the columns of CSV files are called: outreach_id="Prospect ID",segment=Audience.',
)
@flag("schema", is_flag=True, help="Print the file's JSON Schema, for editors, and end.")
@click.option("--json", "json_too", is_flag=True, help="Print what was found as JSON too.")
def validate_command(
    destination: str | None,
    live: bool,
    ledger: str | None,
    input: tuple[str, ...],  # noqa: A002 - the flag's name
    columns: str | None,
    schema: bool,
    json_too: bool,
) -> None:
    """Checks a destination file, and says what it will write where.

    Without --live, credentials are looked for where the file says they are, but not used, and
    nothing is sent. With it, Outreach is asked a few questions by each user, and still nothing
    is written.
    """
    if schema:
        click.echo(json.dumps(destination_schema(), indent=2, ensure_ascii=False))
        return
    if destination is None:
        raise click.UsageError("Missing option '--destination'.")
    console = Screen(stderr=True)
    with failing_plainly(console):
        verdict = examine(destination)
        if live:
            examine_live(verdict)
        if ledger is not None and verdict.destination is not None:
            from pipeline.preflight.ledger_checks import ledger_warnings  # noqa: PLC0415 - slow

            verdict.warnings += ledger_warnings(verdict.destination, ledger)
        if input:
            logs.configure(console)
            examine_input(verdict, input, parse_columns(columns))
    tell(console, verdict)
    if json_too:
        click.echo(json.dumps(as_json(destination, verdict), ensure_ascii=False))
    if verdict.errors:
        raise SystemExit(WRONG)


def examine(path: str) -> PreflightReport:
    """Reads the destination file and looks for its credentials; sends nothing."""
    verdict = PreflightReport()
    try:
        verdict.destination = load_destination(path, os.environ)
        verdict.warnings = suspicions(verdict.destination)
        verdict.destination.secrets(os.environ)
    except ConfigurationError as error:
        verdict.errors.append(error)
    return verdict


def examine_live(verdict: PreflightReport) -> None:
    """Asks Outreach about a destination that could be read, in a few requests a user."""
    # The client and the sandbox's counterpart of it take a while to import.
    from pipeline.preflight.live_checks import look  # noqa: PLC0415
    from transforms.clock import steady  # noqa: PLC0415

    destination = verdict.destination
    if destination is None:
        return
    broken = {
        destination.users[place].name
        for error in verdict.errors
        if isinstance(error, DestinationError)
        for kind, place, *_ in (problem.path for problem in error.problems if problem.path)
        if kind == "users" and isinstance(place, int)
    }
    verdict.live = look(destination, broken, steady)
    findings = verdict.live.findings
    verdict.notes += findings.notes
    verdict.warnings += findings.warnings
    if findings.errors:
        verdict.errors.append(destination.refusal(findings.errors))


def examine_input(verdict: PreflightReport, files: Sequence[str], columns: Columns = ()) -> None:
    """Counts what it would take to deliver some files, with names for the columns of tables.

    Raises:
      ActivationError: one is not there, or cannot be read.
    """
    from pipeline.preflight.estimate import estimate  # noqa: PLC0415 - Beam takes a second to import

    if verdict.destination is None:
        return
    setups = verdict.live.setups if verdict.live else None
    with scratch() as made:
        verdict.estimate = estimate(verdict.destination, made.spooled(files), setups, columns)
