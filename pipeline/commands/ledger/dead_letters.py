"""The ``dead-letters`` command: what could not be read or delivered, and trying it again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape

from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.formatting import print_rows
from pipeline.console.screen import Screen
from pipeline.ledger.queries import letters as queries
from pipeline.ledger.queries.activity import Refusals, read_refusals
from pipeline.ledger.store import amended, looked_at
from transforms.clock import micros
from transforms.errors import ConfigurationError
from transforms.text import did_you_mean, listed


@click.command("dead-letters")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
@flag("reason", metavar="CODE", help="Only those of one reason; they are printed as JSON Lines.")
@flag("retry", is_flag=True, help="Have the job try them again, once what was wrong is mended.")
def dead_letters_command(ledger: str, reason: str | None, retry: bool) -> None:
    """Lists what could not be read or delivered, by reason, with an example of each.

    With --reason they are printed whole, to be kept or mended. With --retry they are put into the
    inbox again: a job that runs takes them in within seconds, one that is started does it then.
    """
    console = Screen(stderr=True)
    with failing_plainly(console):
        with looked_at(ledger) as connection:
            found = read_refusals(connection)
        _check_reason(reason, found)
        if retry:
            _retry(console, ledger, reason)
        elif reason is not None:
            with looked_at(ledger) as connection:
                for _, line in queries.letters(connection, reason):
                    sys.stdout.buffer.write(line + b"\n")
        else:
            _tell(console, found)
    raise SystemExit(DONE)


def _check_reason(reason: str | None, found: Sequence[Refusals]) -> None:
    reasons = tuple(dict.fromkeys(each.reason for each in found))
    if reason is not None and reason not in reasons:
        near = did_you_mean(reason, reasons) or f"; there are {listed(reasons)}"
        raise ConfigurationError(f"there are no dead letters of reason {reason}{near}")


def _retry(console: Console, ledger: str, reason: str | None) -> None:
    with amended(ledger) as connection:
        put = queries.retry(connection, micros(time.time()), reason)
    console.print(
        f"{put:,} dead letter{'s' * (put != 1)} will be tried again by `run`; those that were put"
        " back before are not put back twice"
    )


def _tell(console: Console, found: Sequence[Refusals]) -> None:
    if not found:
        console.print("there are no dead letters")
        return
    rows = [
        (each.reason, f"{each.letters:,}", f"{each.example} ({each.source})"[:300])
        for each in found
    ]
    print_rows(console, "dead letters", rows, ("reason", "how many", "an example"))
    console.print(escape("--reason CODE prints them; --retry has the job try them again"))
