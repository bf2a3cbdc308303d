"""The ``sandbox`` command."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path

import click

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_CHUNK_BYTES = 4_096


def _tokens(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    tokens: dict[str, str] = {}
    for each in given:
        name, equals, token = each.partition("=")
        if not (name and equals and token):
            raise click.BadParameter("is not NAME=TOKEN")
        tokens[token] = name
    return tokens


@click.command("sandbox")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0 takes a free one.")
@click.option(
    "--hour", type=click.FloatRange(min=0, min_open=True), default=3_600.0, show_default=True,
    metavar="SECONDS", help="Length of the rate limit's window.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=0), default=10_000, show_default=True,
    help="Requests a user may spend in a window; 0 for no limit.",
)  # fmt: skip
@click.option(
    "--window", type=click.Choice(["fixed", "clock", "sliding"]), default="fixed",
    show_default=True, help="How windows lie; Outreach does not say.",
)  # fmt: skip
@click.option(
    "--latency", "latency_seconds", type=click.FloatRange(min=0), default=0.0,
    metavar="SECONDS", help="Added to each answer.",
)  # fmt: skip
@click.option(
    "--prospects", type=click.IntRange(min=0), default=0, metavar="N",
    help="Prospects 1 to N exist at the start.",
)  # fmt: skip
@click.option(
    "--prospects_from", "--prospects-from", "prospects_from", type=_FILE,
    help='JSON Lines of {"id": 1, "attributes": {}} that exist at the start too.',
)  # fmt: skip
@click.option(
    "--token", "tokens", multiple=True, metavar="NAME=TOKEN", callback=_tokens,
    help="Whose bearer token this is; without any, every token is a user of its own.",
)  # fmt: skip
@click.option(
    "--forbid", "forbidden", multiple=True, type=click.IntRange(min=1), metavar="ID",
    help="A prospect that governance keeps from every user (403).",
)  # fmt: skip
@click.option(
    "--with_parent", "--with-parent", "with_parent", is_flag=True,
    help="Stop when standard input ends, as it does with the process that holds it.",
)  # fmt: skip
def sandbox_command(*, with_parent: bool, forbidden: tuple[int, ...], **options: object) -> None:
    """Starts a local Outreach: its API, its limits, and a page to look at.

    Prints its URL as one line on standard output, and runs until SIGINT or SIGTERM.
    """
    given = SandboxOptions(forbidden=frozenset(forbidden), **options)  # type: ignore[arg-type] # click checked each
    try:
        asyncio.run(_run(given, with_parent=with_parent))
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {given.port}: {error}") from error


async def _run(options: SandboxOptions, *, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    sandbox = Sandbox(options)
    await sandbox.start()
    click.echo(f"Outreach sandbox: {sandbox.url} (Ctrl-C stops it)", err=True)
    click.echo(sandbox.url)
    sys.stdout.flush()
    if with_parent:

        def wait_for_parent() -> None:
            while sys.stdin.buffer.read(_CHUNK_BYTES):
                pass
            loop.call_soon_threadsafe(stopped.set)

        # A daemon, because nothing interrupts a read.
        threading.Thread(target=wait_for_parent, daemon=True).start()
    try:
        await stopped.wait()
    finally:
        await sandbox.stop()
