"""The ``run`` command: the always-on job."""

from __future__ import annotations

import os

import click
from rich.console import Console

from pipeline import logs
from pipeline.destination import load_destination
from pipeline.options import BeamCommand, flag
from pipeline.statuses import DONE, failing_plainly
from transforms.errors import ConfigurationError


@click.command("run", cls=BeamCommand)
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag(
    "input_subscription",
    required=True,
    metavar="projects/P/subscriptions/S",
    help="Where the audience changes come from.",
)
@flag("ledger", metavar="PATH", help="Durable state: what arrived, what waits, what was sent.")
@flag("receipts", metavar="PATH|TOPIC", help="Where one receipt a change is written.")
@flag("dead_letters", metavar="PATH|TOPIC", help="Where what was refused is kept, to be replayed.")
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
@click.pass_context
def run_command(
    context: click.Context,
    destination: str,
    input_subscription: str,
    ledger: str | None,
    receipts: str | None,
    dead_letters: str | None,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Delivers audience changes as they are published, until it is stopped.

    On this machine (the default, DirectRunner) a ledger makes it durable: kill it anywhere and
    start it again. SIGINT and SIGTERM finish the requests in flight and end with 0.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    logs.configure(console)
    del context
    with failing_plainly(console):
        from pipeline.always_on import AlwaysOn, run  # noqa: PLC0415 - Beam takes a second

        if ledger is None:
            raise ConfigurationError(
                "run needs --ledger PATH on this machine: what arrives is kept there before it"
                " is acknowledged"
            )
        plan = load_destination(destination)
        plan.secrets(os.environ)
        asked = AlwaysOn(
            input_subscription, ledger, receipts, dead_letters, metrics_port, metrics_host
        )
        run(plan, asked, console)
    raise SystemExit(DONE)
