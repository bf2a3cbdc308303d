"""The ``replay`` command: files through the graph, to the end."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from pipeline.console import logs
from pipeline.console.columns import parse_columns
from pipeline.console.exit_status import WRONG, failing_plainly
from pipeline.console.flags import BeamCommand, flag
from pipeline.console.screen import Screen
from pipeline.destination.file import Destination, load_destination
from pipeline.io.paths import check_paths
from pipeline.io.scratch import command_again, scratch
from pipeline.io.targets import OutputKind, check_output
from transforms.errors import ConfigurationError
from transforms.text import did_you_mean, listed

if TYPE_CHECKING:
    pass


@click.command("replay", cls=BeamCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag("receipts", metavar="PATH|TOPIC", help="Where one receipt a change is written.")
@flag("dead_letters", metavar="PATH|TOPIC", help="Where what was refused is kept, to be replayed.")
@flag("summary", metavar="PATH", help="Where the summary is written too.")
@flag("report", metavar="FILE.html", help="Where a report is written, as one HTML file.")
@flag("dry_run", is_flag=True, help="Do everything but the requests.")
@flag("sandbox", is_flag=True, help="Deliver to a private sandbox that holds the prospects.")
@flag("ledger", metavar="PATH", help="Durable state: an interrupted replay goes on from it.")
@flag(
    "columns",
    metavar="NAMES",
    help='What the columns of CSV files are called: outreach_id="Prospect ID",segment=Audience.',
)
@flag(
    "mirror",
    metavar="SEGMENT",
    help="With a ledger: the FILEs are this whole audience; members who are not in them leave.",
)
@flag("directory", metavar="FILE", help="Prospects by what they are matched by, from `pull`.")
@flag("backfill", is_flag=True, help="With a ledger: after live changes.")
@click.pass_context
def replay_command(
    context: click.Context,
    files: Sequence[str],
    destination: str,
    receipts: str | None,
    dead_letters: str | None,
    summary: str | None,
    report: str | None,
    dry_run: bool,
    sandbox: bool,
    ledger: str | None,
    columns: str | None,
    mirror: str | None,
    directory: str | None,
    backfill: bool,
) -> None:
    """Delivers the audience changes in FILEs and ends when each has its outcome.

    FILE may be a path, a glob, `-` for standard input, or anything Beam's FileSystems read.
    Beam's own flags go to Beam; a runner's own go behind `--`.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        plan = _checked(
            files,
            destination,
            ledger,
            {
                "--receipts": receipts,
                "--dead_letters": dead_letters,
                "--summary": summary,
                "--report": report,
            },
            None if sandbox else os.environ,
        )
        # Beam takes seconds to import: what is wrong so far is said before.
        from pipeline.destination.stage_config import Place  # noqa: PLC0415
        from pipeline.jobs import report as reporting  # noqa: PLC0415
        from pipeline.jobs.batch import Replay, replay  # noqa: PLC0415
        from pipeline.jobs.ledger_replay import has_receipts, replay_durably  # noqa: PLC0415
        from pipeline.runners import other_runner  # noqa: PLC0415

        own_names = dict(parse_columns(columns))
        runner = other_runner(context.obj)
        if ledger is not None and runner is not None:
            raise ConfigurationError(
                f"a ledger is worked on by this machine alone, and not by {runner};"
                " leave out --ledger or --runner"
            )
        if mirror is not None:
            check_mirror(plan, mirror, ledger)
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(scratch())
            paths = made.spooled(files)
            # A dry run reads the ledger that it is given; without one it needs none.
            through_ledger = runner is None and (bool(ledger or report) or not dry_run)
            own = ledger or (made.ledger if through_ledger else None)
            asked = Replay(
                files=paths,
                receipts=receipts,
                dead_letters=dead_letters,
                dry_run=dry_run,
                ledger=own,
                lasting=ledger is not None,
                backfill=backfill,
                mirror=mirror,
                report=report,
                directory=directory,
                columns=tuple({**dict(plan.columns.pairs), **own_names}.items()),
                digests=made.digests if ledger is not None else {},
                beam_flags=context.obj,
            )
            if sandbox:
                from pipeline.jobs.rehearsal import private_sandbox  # noqa: PLC0415 - as above

                stage = stack.enter_context(private_sandbox(plan, paths, asked.columns))
                place = Place(stage.sandbox.url, stage.accesses)
            else:
                plan.secrets(os.environ)
                place = Place.of(plan)
            again = command_again(sys.argv, None if ledger else made)
            try:
                finished = (replay_durably if through_ledger else replay)(
                    plan, place, asked, console
                )
            except Exception:
                made.kept = through_ledger and ledger is None and has_receipts(made.ledger)
                if made.kept:
                    said = f"what was done is in {made.ledger}; to go on with it:\n{again}"
                    console.print(escape(said))
                raise
            if finished.interrupted or finished.kept:
                made.kept = ledger is None and through_ledger
                finished = finished if dry_run else replace(finished, again=again)
        text = json.dumps(finished.summary)
        if summary is not None:
            reporting.write_summary(summary, text)
        reporting.report(console, finished, asked)
        if finished.exit_status != WRONG:
            click.echo(text)
    raise SystemExit(finished.exit_status)


def _checked(
    files: Sequence[str],
    destination: str,
    ledger: str | None,
    outputs: Mapping[str, str | None],
    environ: Mapping[str, str] | None,
) -> Destination:
    """The destination, once no path of the command line stands in another's way."""
    named = tuple(outputs.items())
    check_paths(inputs=files, destination=destination, ledger=ledger, outputs=named)
    found = load_destination(destination, environ)
    check_paths(secrets=found.secret_files(), ledger=ledger, outputs=named)
    kinds: tuple[tuple[str, OutputKind], ...] = (("--summary", "summary"), ("--report", "report"))
    for flag_name, kind in kinds:
        if (target := outputs[flag_name]) is not None:
            check_output(target, kind)
    return found


def check_mirror(plan: Destination, segment: str, ledger: str | None) -> None:
    """Makes sure that an audience can be mirrored.

    Raises:
      ConfigurationError: there is no ledger, which knows the members, or no such audience.
    """
    if ledger is None:
        raise ConfigurationError(
            "--mirror needs --ledger PATH: it is the ledger that knows who was a member"
        )
    segments = tuple(audience.segment for audience in plan.audiences)
    if segment not in segments:
        near = did_you_mean(segment, segments) or f"; there are {listed(segments)}"
        raise ConfigurationError(f"--mirror {segment}: the destination maps no such segment{near}")
