"""The ``sandbox`` command."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.console.flags import spellings
from pipeline.sandbox.custom_fields import CustomField, parse_field
from pipeline.sandbox.faults import API_FAULTS, BATCH_FAULTS, TOKEN_FAULTS, FaultSettings, changed
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox
from transforms.errors import ConfigurationError

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)
_SECONDS = click.FloatRange(min=0)
_COUNT = click.IntRange(min=0)
_CHUNK_BYTES = 4_096
_DEFAULTS = SandboxOptions()


def _flag(name: str, **settings: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - click's own
    """A flag in both spellings, whose default is that of `SandboxOptions`."""
    if not settings.get("multiple") and not settings.get("is_flag"):
        default = getattr(_DEFAULTS, name)
        settings = {"default": default, "show_default": default is not None, **settings}
    return click.option(*spellings(name), name, **settings)


def _pairs(of: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    def read(
        _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
    ) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for each in given:
            name, _, secret = each.partition("=")
            if not (name and secret):
                raise click.BadParameter(f"is not {of}")
            pairs[name] = secret
        return pairs

    return read


def _fields(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[CustomField, ...]:
    try:
        return tuple(parse_field(each) for each in given)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


def _faults(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> FaultSettings:
    pairs = _pairs("NAME=RATE")(context, parameter, given)
    try:
        return changed(FaultSettings(), pairs)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None


@click.command("sandbox")
@_flag("port", type=click.IntRange(0, 65_535), help="0 takes a free one.")
@_flag(
    "hour",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Length of the rate limit's window.",
)
@_flag("limit", type=_COUNT, help="Requests a user may spend in a window; 0 for no limit.")
@_flag(
    "window",
    type=click.Choice(["fixed", "clock", "sliding"]),
    help="How windows lie: opened by a request, on the hour, or looking back. "
    "Outreach does not say.",
)
@_flag(
    "foreign_per_hour",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Requests that each user's other tools spend in a window.",
)
@_flag("latency_seconds", type=_SECONDS, metavar="SECONDS", help="Added to each answer.")
@_flag("prospects", type=_COUNT, metavar="N", help="Prospects 1 to N exist at the start.")
@_flag(
    "prospects_from",
    type=_FILE,
    help='JSON Lines of {"id": 1, "attributes": {}} that exist at the start too.',
)
@_flag(
    "data",
    type=_NEW_FILE,
    help="File in which prospects and accounts outlive the sandbox; once it is there, "
    "it alone says what exists at the start.",
)
@_flag(
    "field",
    multiple=True,
    callback=_fields,
    metavar="SPEC",
    help="A custom field as an administrator sets it up, such as "
    "'custom4:label=Enterprise intent,type=picklist,values=realized|existing|exited'; "
    "also required=true and max_length=N; account.custom4 for an account's.",
)
@_flag(
    "forbid",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="ID",
    help="A prospect that governance keeps from every user (403).",
)
@_flag("vague_errors", is_flag=True, help="Let a 422 point at /data, not at the attribute.")
@_flag(
    "token",
    multiple=True,
    callback=_pairs("NAME=TOKEN"),
    metavar="NAME=TOKEN",
    help="Whose bearer token this is; without any, every token is a user of its own.",
)
@_flag(
    "scope",
    multiple=True,
    help="What those tokens allow, such as prospects.write; without any, everything.",
)
@_flag(
    "client",
    multiple=True,
    callback=_pairs("ID=SECRET"),
    metavar="ID=SECRET",
    help="An OAuth application; without any, every id is one.",
)
@_flag("approve", metavar="USER", help="Grant authorize requests at once, as this user.")
@_flag(
    "token_interval",
    type=_SECONDS,
    metavar="SECONDS",
    help="Between two token requests of a user and application.",
)
@_flag("access_seconds", type=_SECONDS, metavar="SECONDS", help="Life of an access token.")
@_flag("refresh_seconds", type=_SECONDS, metavar="SECONDS", help="Life of a refresh token.")
@_flag("lenient_refresh", is_flag=True, help="Let a refresh token be used again.")
@_flag("s2s_key", type=_FILE, help="Public key (PEM) of server-to-server assertions.")
@_flag(
    "batch_seconds",
    type=_SECONDS,
    metavar="SECONDS",
    help="How long a bulk action takes once it is confirmed.",
)
@_flag(
    "batch_items_per_day",
    type=_COUNT,
    metavar="N",
    help="Records that bulk actions may change in a day.",
)
@_flag(
    "fault",
    multiple=True,
    callback=_faults,
    metavar="NAME=RATE",
    help="What goes wrong with which share of requests: "
    f"{', '.join([*API_FAULTS, *TOKEN_FAULTS, *BATCH_FAULTS])}; "
    "also slow_seconds=, timeout_seconds= and maintenance_seconds=.",
)
@_flag("seed", type=int, help="Of which requests the faults befall.")
@click.option(
    "--with_parent",
    "--with-parent",
    "with_parent",
    is_flag=True,
    help="Stop when standard input ends, as it does with the process that holds it.",
)
def sandbox_command(
    *,
    token: dict[str, str],
    client: dict[str, str],
    fault: FaultSettings,
    field: tuple[CustomField, ...],
    forbid: tuple[int, ...],
    scope: tuple[str, ...],
    with_parent: bool,
    **options: Any,  # noqa: ANN401 - each is a flag of the name of its option
) -> None:
    """Starts a local Outreach: its API, its limits, and a page to look at.

    Prints its URL as one line on standard output, and runs until SIGINT or SIGTERM.
    """
    given = SandboxOptions(
        tokens={secret: name for name, secret in token.items()},
        clients=client,
        faults=fault,
        fields=field,
        forbidden=frozenset(forbid),
        scopes=scope or _DEFAULTS.scopes,
        **options,
    )
    try:
        asyncio.run(_run(given, with_parent=with_parent))
    except ConfigurationError as problem:
        raise click.UsageError(str(problem)) from None
    except OSError as problem:
        raise click.ClickException(str(problem)) from None


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
