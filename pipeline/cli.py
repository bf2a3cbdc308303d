"""The command line: `outreach-activation`, and `python -m pipeline`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from pipeline import logs
from pipeline.destination import load_destination
from pipeline.options import BeamCommand, flag
from pipeline.sandbox.cli import sandbox_command
from pipeline.validate import validate_command
from transforms.errors import ActivationError, ConfigurationError

if TYPE_CHECKING:
    from pipeline.local import Finished

DONE = 0
FAILED = 1
WRONG = 2
DEAD_LETTERS = 3
"""Exit statuses, as the README documents them."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="outreach-activation")
def cli() -> None:
    """Carries audience membership changes into the custom fields of Outreach prospects."""


cli.add_command(sandbox_command)
cli.add_command(validate_command)


@cli.command("replay", cls=BeamCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("receipts", metavar="PATH|TOPIC", help="Where one receipt a change is written.")
@flag("dead_letters", metavar="PATH|TOPIC", help="Where what was refused is kept, to be replayed.")
@flag("summary", metavar="PATH", help="Where the summary is written too.")
@flag("dry_run", is_flag=True, help="Do everything but the requests.")
@flag("sandbox", is_flag=True, help="Deliver to a private sandbox that holds the prospects.")
@click.pass_context
def replay_command(
    context: click.Context,
    files: Sequence[str],
    destination: str,
    receipts: str | None,
    dead_letters: str | None,
    summary: str | None,
    dry_run: bool,
    sandbox: bool,
) -> None:
    """Delivers the audience changes in FILEs and ends when each has its outcome.

    FILE may be a path, a glob, `-` for standard input, or anything Beam's FileSystems read.
    Flags that are not listed here go to Beam.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    logs.configure(console)
    with failing_plainly(console):
        # Beam takes a second to import, and the other commands do without it.
        from pipeline.local import Replay, replay, spooled  # noqa: PLC0415
        from pipeline.rehearsal import private_sandbox  # noqa: PLC0415
        from pipeline.report import report, write_summary  # noqa: PLC0415

        plan = load_destination(destination)
        asked = Replay(
            files=files,
            receipts=receipts,
            dead_letters=dead_letters,
            dry_run=dry_run,
            beam_flags=context.obj,
        )
        with contextlib.ExitStack() as stack:
            paths = stack.enter_context(spooled(files))
            asked = replace(asked, files=paths)
            if sandbox:
                stage = stack.enter_context(private_sandbox(plan, paths))
                finished = replay(
                    plan, asked, console, base_url=stage.sandbox.url, accesses=stage.accesses
                )
            else:
                plan.secrets(os.environ)
                finished = replay(plan, asked, console)
        text = json.dumps(finished.summary)
        if summary is not None:
            write_summary(summary, text)
        report(console, finished, asked)
        if not finished.problems:
            click.echo(text)
    raise SystemExit(exit_status(finished))


@contextlib.contextmanager
def failing_plainly(console: Console) -> Iterator[None]:
    """Tells errors as a person can use them, and ends with the status that they call for."""
    try:
        yield
    except ConfigurationError as problem:
        console.print(f"[bold red]refused[/] {escape(str(problem))}")
        raise SystemExit(WRONG) from problem
    except ActivationError as problem:
        console.print(f"[bold red]failed[/] {escape(str(problem))}")
        raise SystemExit(FAILED) from problem


def exit_status(finished: Finished) -> int:
    """The status that a finished run calls for; see the constants of this module."""
    if finished.problems:
        return FAILED if finished.counts.answered else WRONG
    return DEAD_LETTERS if finished.counts.reasons else DONE


def main() -> None:
    """Entry point of `outreach-activation` and of `python -m pipeline`."""
    cli()
