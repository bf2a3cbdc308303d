"""What pulls from Pub/Sub for all readers of a process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from google.cloud import pubsub_v1

from transforms.errors import ActivationError

MESSAGES_UNDER_WAY: Final = 2_000
BYTES_UNDER_WAY: Final = 32 * 2**20
"""What a process is handed before it is acknowledged."""
LEASE_SECONDS: Final = 60
"""For how long at a time messages are ours; those of a process that died come again after it."""
LEASE_MOST_SECONDS: Final = 600.0
"""After so long a message comes again whose bundle failed, or was never committed."""
CLOSE_SECONDS: Final = 2.0
"""How long the client may take to end; what it still holds then is delivered again."""


class StreamingPull:
    """Streams a subscription's messages into a queue, for all readers of this process.

    One for all, since a runner may make a reader in each of its threads, let another go on where
    one stopped, and never come back to it: messages that waited in it would wait for long. The
    client keeps prolonging the lease of what it handed over.

    Args:
      subscription: its full name.

    Attributes:
      subscription: the same.
      readers: how many have it.
    """

    def __init__(self, subscription: str) -> None:
        self.subscription = subscription
        self.readers = 0
        self._pulled: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = pubsub_v1.SubscriberClient()
        self._pull: Future[Any] = self._client.subscribe(
            subscription,
            callback=self._pulled.put,
            flow_control=pubsub_v1.types.FlowControl(
                max_messages=MESSAGES_UNDER_WAY,
                max_bytes=BYTES_UNDER_WAY,
                max_lease_duration=LEASE_MOST_SECONDS,
                max_duration_per_lease_extension=LEASE_SECONDS,
            ),
        )

    def next(self) -> Any:  # noqa: ANN401 - the client's own class is untyped
        """A message that nobody was given, or None if there is none just now.

        Raises:
          ActivationError: pulling has ended by itself, and why.
        """
        with suppress(queue.Empty):
            return self._pulled.get_nowait()
        if self._pull.done():
            reason = self._pull.exception()
            raise ActivationError(f"cannot pull from {self.subscription}: {reason}") from reason
        return None

    def acknowledge(self, messages: Sequence[Any]) -> None:
        """Tells Pub/Sub that it need not keep some messages, even after `close`."""
        if not self._pull.done():
            for message in messages:
                message.ack()
        elif messages:
            with pubsub_v1.SubscriberClient() as client:
                client.acknowledge(
                    subscription=self.subscription, ack_ids=[each.ack_id for each in messages]
                )

    def close(self) -> None:
        """Stops to pull; what nobody was given is given back to Pub/Sub."""
        while not self._pulled.empty():
            self._pulled.get_nowait().nack()
        self._pull.cancel()
        with suppress(Exception):  # Whatever it ended with, it has ended.
            self._pull.result(timeout=CLOSE_SECONDS)
        self._client.close()


class StreamingPulls:
    """The pumps of a process, by subscription: each open for as long as a reader has it."""

    def __init__(self) -> None:
        self._open: dict[str, StreamingPull] = {}
        self._lock = threading.Lock()

    def lend(self, subscription: str) -> StreamingPull:
        """The pump of a subscription, to be given back."""
        with self._lock:
            pull = self._open.get(subscription)
            if pull is None:
                pull = self._open[subscription] = StreamingPull(subscription)
            pull.readers += 1
            return pull

    def take_back(self, pull: StreamingPull) -> None:
        """One reader needs it no more; after the last it is closed."""
        with self._lock:
            pull.readers -= 1
            if pull.readers or self._open.get(pull.subscription) is not pull:
                return
            del self._open[pull.subscription]
        pull.close()

    def close(self) -> None:
        """Closes all: a runner that is done does not always close the readers it made."""
        with self._lock:
            left, self._open = self._open, {}
        for pull in left.values():
            pull.close()


PULLS: Final = StreamingPulls()
"""This process's own: readers are made by a runner, and cannot be handed one."""
