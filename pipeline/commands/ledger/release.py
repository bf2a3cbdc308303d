"""The ``release`` command: a person lets a held audience go."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.ledger.guard import HeldAudience, holds, release
from pipeline.ledger.store import amended, transaction
from transforms.clock import micros
from transforms.errors import ConfigurationError
from transforms.text import listed
from transforms.times import format_time


@click.command("release")
@click.argument("segment", metavar="SEGMENT")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
def release_command(segment: str, ledger: str) -> None:
    """Lets the audience SEGMENT go, by id or name, which was held because it emptied at once.

    Its changes are sent as the budget allows. It is not held again before it has stopped to
    empty like this, and at least for one window (`guard.window_minutes`). A job that runs need
    not be stopped.
    """
    with failing_plainly(Screen(stderr=True)):
        click.echo(let_go(segment, ledger))
    raise SystemExit(DONE)


def let_go(segment: str, ledger: str) -> str:
    """Releases an audience; returns the message for a person.

    Args:
      segment: its id, or its name as `status` shows it.
      ledger: path of the ledger.

    Raises:
      ConfigurationError: it is not held, or the ledger cannot be used.
    """
    with amended(ledger) as connection, transaction(connection, durable=True):
        found = _found(holds(connection), segment)
        segment = found.segment
        if found.released_at is not None:
            return f"{found.name} was let go already, at {format_time(found.released_at)}"
        release(connection, segment, micros(time.time()))
        (changes,) = connection.execute(
            "SELECT count(*) FROM waiting WHERE segment = ?", (segment,)
        ).fetchone()
    return f"{found.name} is let go; {changes:,} of its changes wait and will be sent"


def _found(known: Sequence[HeldAudience], wanted: str) -> HeldAudience:
    named = [each for each in known if each.segment == wanted] or [
        each for each in known if each.name.casefold() == wanted.strip().casefold()
    ]
    if not named:
        held = [f"{each.segment} ({each.name})" for each in known if each.released_at is None]
        raise ConfigurationError(f"{wanted} is not held; held are: {listed(held)}")
    if len(named) > 1:
        segments = listed(each.segment for each in named)
        raise ConfigurationError(
            f"{wanted} is the name of several: {segments}; say which by its id"
        )
    return named[0]
