"""The ``page`` command: the operator's page of a ledger, beside a job or without one."""

from __future__ import annotations

import os
import threading

import click
from rich.markup import escape

from pipeline.console import logs
from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.jobs.signals import on_signals
from pipeline.operator_page.server import operator_page
from pipeline.operator_page.state import check_ledger


@click.command("page")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
@flag(
    "port",
    type=click.IntRange(0, 65535),
    default=8090,
    show_default=True,
    metavar="PORT",
    help="On this machine's loopback address; 0 for any free port.",
)
@flag(
    "page_token_env",
    metavar="NAME",
    help="The variable with the token for the page's buttons, in place of one that is printed.",
)
@flag("page_private", is_flag=True, help="Reading the page needs the token too.")
def page_command(ledger: str, port: int, page_token_env: str | None, page_private: bool) -> None:
    """Serves a page in the browser: audiences, budgets, what waits, what was refused.

    It only reads the ledger, but for its buttons, which need the token.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    stopped = threading.Event()
    with failing_plainly(console):
        check_ledger(ledger)
        where = ("127.0.0.1", port, "--port")
        with (
            on_signals(lambda _name: stopped.set()),
            operator_page(ledger, *where, os.environ, page_token_env, private=page_private) as page,
        ):
            click.echo(page.url)
            if page.token is not None:
                console.print(escape(f"token for its buttons: {page.token}"))
            console.print("Ctrl-C stops")
            while not stopped.wait(1.0):
                pass
    raise SystemExit(DONE)
