"""The HTTP door before a topic: it publishes what is posted, and keeps nothing."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1
from rich.console import Console
from rich.markup import escape

from pipeline.destination.file import Destination
from pipeline.door.group_commit import NotKeptError, settle_kept
from pipeline.door.server import DoorOptions, check_door, opened
from pipeline.io.targets import is_topic
from pipeline.jobs.signals import on_signals
from pipeline.ledger.inbox import BACKFILL, Message
from transforms.clock import steady
from transforms.errors import ConfigurationError
from transforms.plan import SOURCE_ATTRIBUTE, SOURCE_PREFIX

PUBLISH_SECONDS = 5.0
"""How long Pub/Sub may take to confirm; then a request is answered 503."""


class TopicKeeper:
    """Publishes messages, with the source's name and lane as attributes.

    Args:
      topic: ``projects/P/topics/T``.

    Raises:
      ConfigurationError: there are no credentials of Google's.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        try:
            self._client = pubsub_v1.PublisherClient()
        except GoogleAuthError as problem:
            raise ConfigurationError(f"cannot publish to {topic}: {problem}") from problem

    def keep(self, message: Message) -> Future[None]:
        """See `pipeline.door.http_app.Keeper`."""
        done: Future[None] = Future()
        attributes = {
            SOURCE_ATTRIBUTE: message.source.removeprefix(SOURCE_PREFIX),
            "message_id": message.message_id,
            **({"lane": "backfill"} if message.lane == BACKFILL else {}),
        }
        published = self._client.publish(
            self._topic, message.body, timeout=PUBLISH_SECONDS, **attributes
        )

        def settle(confirmed: Any) -> None:  # noqa: ANN401 - the client's own class is untyped
            problem = confirmed.exception()
            settle_kept(done, None if problem is None else NotKeptError(str(problem)))

        published.add_done_callback(settle)
        return done

    def close(self) -> None:
        """Ends the client's threads, once all is published."""
        self._client.stop()


def publish_posted(
    destination: Destination, options: DoorOptions, topic: str, console: Console
) -> None:
    """Serves the door until a signal says stop.

    Raises:
      ConfigurationError: as of `pipeline.door.server.opened`, or ``topic`` is none.
    """
    if not is_topic(topic):
        raise ConfigurationError(f"--topic {topic} is no topic; write projects/PROJECT/topics/NAME")
    check_door(destination, options, os.environ)
    keeper = TopicKeeper(topic)
    stopped = threading.Event()
    try:
        with (
            on_signals(lambda _name: stopped.set()),
            opened(destination, options, keeper, steady) as url,
        ):
            names = ", ".join(source.name for source in destination.sources)
            said = f"listening at {url}/changes/ for {names}; publishing to {topic}; Ctrl-C stops"
            console.print(escape(said))
            stopped.wait()
    finally:
        keeper.close()
