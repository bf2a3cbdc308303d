"""The ``reconcile`` command: whether Outreach still holds what it should."""

from __future__ import annotations

import json
import os

import click

from pipeline.console import logs
from pipeline.console.exit_status import DEAD_LETTERS, DONE, FAILED, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.io.paths import check_paths

DRIFT = DEAD_LETTERS
"""The exit status where something differs."""


@click.command("reconcile")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("ledger", required=True, metavar="PATH", help="The ledger that knows what was delivered.")
@flag("repair", is_flag=True, help="Send the right values where others are held.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def reconcile_command(destination: str, ledger: str, repair: bool, as_json: bool) -> None:
    """Compares what each mapped field should hold with what Outreach holds.

    Some 600 prospects are read with one request. Ends with 0 where nothing differs, and with 3
    where something does. A job that runs on the ledger checks by itself: see reconcile: in the
    destination file.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        from pipeline.jobs.org.reconciling import reconcile, tell  # noqa: PLC0415 - Beam takes a second

        check_paths(inputs=(), destination=destination, ledger=ledger, outputs=())
        found = load_destination(destination, os.environ)
        found.secrets(os.environ)
        result = reconcile(found, ledger, console, repair=repair)
        if as_json:
            click.echo(json.dumps(result))
        else:
            tell(result, {each.field: each.name for each in found.audiences}, console)
    if not result["complete"]:
        raise SystemExit(FAILED)
    drifted = any(each["different"] or each["gone"] for each in result["audiences"])
    raise SystemExit(DRIFT if drifted else DONE)
