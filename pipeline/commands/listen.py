"""The ``listen`` command: the HTTP door before a Pub/Sub topic, for streaming runners."""

from __future__ import annotations

import os
from typing import Any

import click

from pipeline.commands.door_flags import door_flags, door_options
from pipeline.console import logs
from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import flag
from pipeline.console.screen import Screen
from pipeline.destination.file import load_destination
from pipeline.io.paths import check_paths


@click.command("listen")
@flag("destination", required=True, metavar="PATH", help="The destination file (YAML).")
@flag(
    "listen",
    required=True,
    metavar="HOST:PORT",
    help="Where platforms post their changes, each to /changes/NAME; see sources: in the file.",
)
@flag(
    "topic",
    required=True,
    metavar="projects/P/topics/T",
    help="Where what they post is published, for a streaming job to pull.",
)
@door_flags
def listen_command(
    destination: str,
    listen: str,
    topic: str,
    **door: Any,  # noqa: ANN401 - as of `door_options`
) -> None:
    """Publishes what platforms post over HTTP, until it is stopped.

    Each request is answered once Pub/Sub has what it brought. It keeps nothing, so as many of them
    may run side by side as are needed.
    """
    console = Screen(stderr=True)
    logs.configure(console)
    with failing_plainly(console):
        from pipeline.jobs.publishing_door import publish_posted  # noqa: PLC0415 - slow to import

        check_paths(destination=destination, outputs=(("--port_file", door["port_file"]),))
        plan = load_destination(destination, os.environ)
        publish_posted(plan, door_options(listen, **door), topic, console)
    raise SystemExit(DONE)
