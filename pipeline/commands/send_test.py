"""The ``send-test`` command: what a platform's own test button does."""

from __future__ import annotations

import os

import click
import orjson
from rich.markup import escape

from pipeline.console.exit_status import DONE, FAILED, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.door.client import post_as
from pipeline.door.samples import SHAPES, sample, shape_of
from transforms.errors import ConfigurationError
from transforms.text import did_you_mean, listed

NOBODY = "send-test"
"""A segment that no destination maps: what is in it is accepted and writes nothing."""


@click.command("send-test")
@click.argument("source", metavar="SOURCE")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag(
    "to",
    default="http://127.0.0.1:8080",
    show_default=True,
    metavar="URL",
    help="Where `run --listen` or `listen` is.",
)
@flag(
    "shape",
    type=click.Choice(SHAPES),
    help="Whose record to send; by the source's name if left out.",
)
@flag("outreach_id", type=click.IntRange(min=1), default=1, show_default=True, metavar="ID")
@flag(
    "segment",
    metavar="SEGMENT",
    help="An audience of the destination: then the prospect's field is written.",
)
@flag("ca_file", metavar="PATH", help="The authority that signed the certificate of the address.")
def send_test_command(
    source: str,
    destination: str,
    to: str,
    shape: str | None,
    outreach_id: int,
    segment: str | None,
    ca_file: str | None,
) -> None:
    """Posts a record in SOURCE's shape to a running door, and shows the answer.

    It signs in as the destination says. Without --segment the record is of an audience that nobody
    maps, so it is accepted and writes nothing.
    """
    console = Screen(stderr=True)
    with failing_plainly(console):
        plan = load_destination(destination)
        found = next((each for each in plan.sources if each.name == source), None)
        if found is None:
            names = tuple(each.name for each in plan.sources)
            near = did_you_mean(source, names)
            raise ConfigurationError(
                f"{destination} has no source {source!r}{near or ';'} there are {listed(names)}"
            )
        chosen = shape or shape_of(source)
        namespace = found.identity.namespace or plan.identity.of_profiles
        record = sample(chosen, outreach_id, segment or NOBODY, namespace)
        console.print(escape(f"posting a record of shape {chosen} to {to}/changes/{source}"))
        answer = post_as(found, to, orjson.dumps(record), os.environ, ca_file)
        console.print(escape(f"answered {answer.status}"))
        click.echo(answer.body)
    raise SystemExit(DONE if answer.status < 300 else FAILED)  # noqa: PLR2004 - 2xx
