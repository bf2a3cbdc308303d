"""The ``run`` command: the always-on job, on this machine or on a runner of Beam's."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

from pipeline.commands.door_flags import door_flags, door_options
from pipeline.console import logs
from pipeline.console.exit_status import DEAD_LETTERS, DONE, failing_plainly
from pipeline.console.flags import BeamCommand, flag
from pipeline.console.screen import Screen
from pipeline.destination.file import Destination, load_destination
from pipeline.io.paths import check_paths
from pipeline.io.targets import check_output
from transforms.errors import ConfigurationError

if TYPE_CHECKING:
    from pipeline.jobs.always_on import AlwaysOn
    from pipeline.jobs.report import RunResult
    from pipeline.jobs.streaming import Streaming

THREADS_SECONDS = 1.0
"""How long threads of clients may take to end once all is written."""


@click.command("run", cls=BeamCommand)
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag(
    "input_subscription",
    metavar="projects/P/subscriptions/S",
    help="Where the audience changes come from.",
)
@flag(
    "listen",
    metavar="HOST:PORT",
    help="Where platforms post their changes, each to /changes/NAME; see sources: in the file.",
)
@door_flags
@flag(
    "inbox_limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Messages that may wait to be taken in; more are answered 503. [default: 1000000]",
)
@flag("ledger", metavar="PATH", help="Durable state: what arrived, what waits, what was sent.")
@flag("receipts", metavar="PATH|TOPIC", help="Where one receipt a change is written.")
@flag("dead_letters", metavar="PATH|TOPIC", help="Where what was refused is kept, to be replayed.")
@flag(
    "deferred",
    metavar="TOPIC",
    help="With --runner: where what a drained job left goes; else to the dead letters.",
)
@flag(
    "directory",
    metavar="FILE",
    help="With --runner: prospects by what they are matched by, from `pull --output`.",
)
@flag("dry_run", is_flag=True, help="Do everything but the requests; acknowledge nothing.")
@flag("summary", metavar="PATH", help="Where the summary is written too, when it has stopped.")
@flag(
    "metrics_port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve Prometheus metrics and /healthz; 0 for any free port.",
)
@flag(
    "metrics_host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="On which of this machine's addresses they are served.",
)
@flag(
    "page_port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve a page for the operator on this machine; 0 for any free port.",
)
@flag(
    "page_token_env",
    metavar="NAME",
    help="The variable with the token for the page's buttons, in place of one that is printed.",
)
@flag("page_private", is_flag=True, help="Reading the page needs the token too.")
@click.pass_context
def run_command(
    context: click.Context,
    /,
    destination: str,
    input_subscription: str | None,
    listen: str | None,
    inbox_limit: int | None,
    ledger: str | None,
    receipts: str | None,
    dead_letters: str | None,
    deferred: str | None,
    directory: str | None,
    dry_run: bool,
    summary: str | None,
    metrics_port: int | None,
    metrics_host: str,
    page_port: int | None,
    page_token_env: str | None,
    page_private: bool,
    **door: Any,  # noqa: ANN401 - as of `door_options`
) -> None:
    """Delivers audience changes as they are published, until it is stopped.

    On this machine (the default, DirectRunner) a ledger makes it durable: kill it anywhere and
    start it again. SIGINT and SIGTERM finish the requests in flight and end with 0.

    With --runner it is a streaming job of that runner's, which keeps the state. Beam's own
    flags go to Beam; a runner's own go behind `--`.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    others = set(threading.enumerate())
    with failing_plainly(console):
        # Beam takes a second to import, and the other commands do without it.
        from pipeline.jobs.always_on import AlwaysOn, run  # noqa: PLC0415
        from pipeline.jobs.report import report, write_summary  # noqa: PLC0415
        from pipeline.jobs.streaming import Streaming  # noqa: PLC0415
        from pipeline.runners import other_runner  # noqa: PLC0415

        runner = other_runner(context.obj)
        outputs = (
            ("--receipts", receipts),
            ("--dead_letters", dead_letters),
            ("--deferred", deferred),
            ("--summary", summary),
        )
        check_paths(destination=destination, ledger=ledger, outputs=outputs)
        plan = load_destination(destination, os.environ)
        check_paths(secrets=plan.secret_files(), ledger=ledger, outputs=outputs)
        if summary is not None:
            check_output(summary, "summary")
        _refuse_flags_of_elsewhere(
            runner,
            here={
                "ledger": ledger,
                "metrics_port": metrics_port,
                "page_port": page_port,
                "dry_run": dry_run or None,
                "listen": listen,
            },
            elsewhere={"deferred": deferred, "directory": directory},
        )
        finished: RunResult | None
        asked: AlwaysOn | Streaming
        if runner is None:
            if ledger is None and not dry_run:
                raise ConfigurationError(
                    "run needs --ledger PATH on this machine: what arrives is kept there before"
                    " it is acknowledged"
                )
            plan.secrets(os.environ)
            if input_subscription is None and listen is None:
                raise ConfigurationError(
                    "run needs something that brings changes: --input_subscription"
                    " projects/PROJECT/subscriptions/NAME, --listen HOST:PORT, or both"
                )
            if listen is not None and dry_run:
                raise ConfigurationError(
                    "--listen would accept what a dry run does not deliver; leave out --dry_run"
                )
            asked = AlwaysOn(
                input_subscription,
                ledger,
                receipts,
                dead_letters,
                metrics_port,
                metrics_host,
                dry_run,
                None if listen is None else door_options(listen, inbox_limit, **door),
                page_port,
                page_token_env,
                page_private,
            )
            finished = run(plan, asked, console)
        else:
            if input_subscription is None:
                raise ConfigurationError("--runner needs --input_subscription")
            asked = Streaming(
                subscription=input_subscription,
                receipts=receipts,
                dead_letters=dead_letters,
                deferred=deferred,
                directory=directory,
                beam_flags=context.obj,
            )
            finished = _stream(plan, asked, runner, console)
        if finished is not None:
            text = json.dumps(finished.summary)
            if summary is not None:
                write_summary(summary, text)
            report(console, finished, asked)
            click.echo(text)
        elif summary is not None:
            console.print(f"{summary} is not written: the job goes on without this process")
    drained = runner is not None and finished is not None and bool(finished.reasons)
    _end(DEAD_LETTERS if drained else DONE, others)


def _end(status: int, others: Collection[threading.Thread]) -> NoReturn:
    """Ends the process, at once where threads would keep it: all is written by now.

    Where Pub/Sub has just gone away, its client leaves threads that wait for a next try, for ten
    seconds and more, which is when service managers kill.

    Args:
      status: to end with.
      others: threads that were there before.
    """
    ends = time.monotonic() + THREADS_SECONDS
    ours = [one for one in threading.enumerate() if not one.daemon and one not in others]
    for one in ours:
        one.join(max(0.0, ends - time.monotonic()))
    if any(one.is_alive() for one in ours):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise SystemExit(status)


def _stream(plan: Destination, asked: Streaming, runner: str, console: Console) -> RunResult | None:
    from pipeline.jobs.dataflow import check_credentials, submitting  # noqa: PLC0415 - as above
    from pipeline.jobs.streaming import run_streaming  # noqa: PLC0415 - as above
    from pipeline.runners import names_dataflow  # noqa: PLC0415 - as above

    to_dataflow = names_dataflow(runner)
    if to_dataflow:
        check_credentials(plan)
    plan.secrets(os.environ)
    with submitting() if to_dataflow else contextlib.nullcontext():
        return run_streaming(plan, asked, console)


_WHY_NOT = {
    "ledger": "a runner keeps state of its own",
    "metrics_port": "a runner has metrics of its own",
    "page_port": "the page is a view over a ledger, and a runner keeps none",
    "dry_run": "a runner would acknowledge what nobody sends",
    "listen": "a runner pulls; start `listen`, which publishes to a topic, beside it",
    "directory": "on this machine the ledger has a directory of its own, which the job keeps fresh",
    "deferred": "on this machine nothing is deferred, since what is left waits in the ledger",
}


def _refuse_flags_of_elsewhere(
    runner: str | None, here: Mapping[str, object], elsewhere: Mapping[str, object]
) -> None:
    """Refuses flags that would mean nothing, or something else than their user thinks.

    Args:
      runner: that was named.
      here: flags of the job on this machine; None where one was not given.
      elsewhere: flags of a runner's job.
    """
    for name, given in (elsewhere if runner is None else here).items():
        if given is not None:
            instead = "" if runner is None else f" or --runner ({runner})"
            raise ConfigurationError(f"{_WHY_NOT[name]}; leave out --{name}{instead}")
