"""Pub/Sub's streaming pull: how it is opened and ended, and one for all readers of a process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import pubsub_v1

from transforms.errors import ActivationError

MESSAGES_UNDER_WAY: Final = 2_000
BYTES_UNDER_WAY: Final = 32 * 2**20
"""How much Pub/Sub delivers to this process before any of it is acknowledged."""
LEASE_SECONDS: Final = 60
"""For how long at a time messages are ours; those of a process that died come again after it."""
LEASE_MOST_SECONDS: Final = 600.0
"""After so long a message comes again whose bundle failed, or was never committed."""
MESSAGES_A_REQUEST: Final = 1_000
"""What a request about messages may name; Pub/Sub refuses one of more than 512 KiB."""
CLOSE_SECONDS: Final = 2.0
"""How long the client may take to end; what it still holds then is delivered again."""


def open_pull(
    client: pubsub_v1.SubscriberClient,
    subscription: str,
    callback: Callable[[Any], None],
    **flow_control: float,
) -> Future[Any]:
    """Opens a streaming pull; returns the future that is done when it has ended.

    Args:
      client: a subscriber.
      subscription: ``projects/P/subscriptions/S``.
      callback: gets each message, on a thread of the client's.
      flow_control: see `google.cloud.pubsub_v1.types.FlowControl`: `max_messages`, `max_bytes`,
        `max_lease_duration` and `max_duration_per_lease_extension`, both in seconds.
    """
    pull: Future[Any] = client.subscribe(
        subscription,
        callback=callback,
        flow_control=pubsub_v1.types.FlowControl(**flow_control),
        await_callbacks_on_shutdown=True,
    )
    return pull


def end_pull(pull: Future[Any], seconds: float) -> None:
    """Cancels a streaming pull and waits until it has ended, or the seconds have passed."""
    pull.cancel()
    with suppress(Exception):  # Whatever it ended with, it has ended.
        pull.result(timeout=seconds)


def close_client(client: pubsub_v1.SubscriberClient, seconds: float) -> None:
    """Closes a client, for so many seconds at most.

    Where Pub/Sub has just gone away, it waits for a next try, for ten seconds and more.
    """
    closing = threading.Thread(target=client.close, name="closing", daemon=True)
    closing.start()
    closing.join(seconds)


def all_of(pulled: queue.SimpleQueue[Any]) -> list[Any]:
    """Empties a queue without waiting, and returns what was in it."""
    found = []
    with suppress(queue.Empty):
        while True:
            found.append(pulled.get_nowait())
    return found


def return_messages(subscription: str, messages: Sequence[Any]) -> None:
    """Returns messages of a pull that has ended, so that Pub/Sub delivers them again at once.

    Where Pub/Sub cannot be reached they come again when their lease ends.

    Args:
      subscription: ``projects/P/subscriptions/S``.
      messages: as the pull gave them.
    """
    if not messages:
        return
    client = pubsub_v1.SubscriberClient()
    with suppress(GoogleAPICallError):
        for start in range(0, len(messages), MESSAGES_A_REQUEST):
            client.modify_ack_deadline(
                subscription=subscription,
                ack_ids=[each.ack_id for each in messages[start : start + MESSAGES_A_REQUEST]],
                ack_deadline_seconds=0,
                timeout=CLOSE_SECONDS,
                retry=None,
            )
    close_client(client, CLOSE_SECONDS)


class StreamingPull:
    """Streams a subscription's messages into a queue, for all readers of this process.

    A runner may create a reader in each of its threads, let another continue where one stopped,
    and never return to it: messages that waited in such a reader would wait for long. The client
    keeps extending the lease of the messages that it delivered.

    Args:
      subscription: ``projects/P/subscriptions/S``.

    Attributes:
      subscription: the same.
      readers: how many readers use this pull.
    """

    def __init__(self, subscription: str) -> None:
        self.subscription = subscription
        self.readers = 0
        self._pulled: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = pubsub_v1.SubscriberClient()
        self._pull = open_pull(
            self._client,
            subscription,
            self._pulled.put,
            max_messages=MESSAGES_UNDER_WAY,
            max_bytes=BYTES_UNDER_WAY,
            max_lease_duration=LEASE_MOST_SECONDS,
            max_duration_per_lease_extension=LEASE_SECONDS,
        )

    def next(self) -> Any:  # noqa: ANN401 - the client's own class is untyped
        """Returns a message that no reader has, or None if there is none at the moment.

        Raises:
          ActivationError: the pull has ended by itself; the text says why.
        """
        with suppress(queue.Empty):
            return self._pulled.get_nowait()
        if self._pull.done():
            reason = self._pull.exception()
            raise ActivationError(f"cannot pull from {self.subscription}: {reason}") from reason
        return None

    def acknowledge(self, messages: Sequence[Any]) -> None:
        """Acknowledges messages, also after `close`."""
        if not self._pull.done():
            for message in messages:
                message.ack()
        elif messages:
            with pubsub_v1.SubscriberClient() as client:
                client.acknowledge(
                    subscription=self.subscription, ack_ids=[each.ack_id for each in messages]
                )

    def give_back(self, messages: Sequence[Any]) -> None:
        """Returns messages to Pub/Sub, also after `close`."""
        if self._pull.done():
            return_messages(self.subscription, messages)
        else:
            for message in messages:
                message.nack()

    def close(self) -> None:
        """Ends the pull, and then returns to Pub/Sub the messages that no reader has.

        In this order, since messages go on coming until it has ended.
        """
        end_pull(self._pull, CLOSE_SECONDS)
        return_messages(self.subscription, all_of(self._pulled))
        close_client(self._client, CLOSE_SECONDS)


class StreamingPulls:
    """The streaming pulls of a process, one a subscription, open while a reader uses them."""

    def __init__(self) -> None:
        self._open: dict[str, StreamingPull] = {}
        self._lock = threading.Lock()

    def lend(self, subscription: str) -> StreamingPull:
        """Returns the pull of a subscription, which the reader gives back with `take_back`."""
        with self._lock:
            pull = self._open.get(subscription)
            if pull is None:
                pull = self._open[subscription] = StreamingPull(subscription)
            pull.readers += 1
            return pull

    def take_back(self, pull: StreamingPull) -> None:
        """Counts one reader less; after the last one the pull is closed."""
        with self._lock:
            pull.readers -= 1
            if pull.readers or self._open.get(pull.subscription) is not pull:
                return
            del self._open[pull.subscription]
        pull.close()

    def close(self) -> None:
        """Closes all pulls: a runner that is done does not always close the readers it made."""
        with self._lock:
            left, self._open = self._open, {}
        for pull in left.values():
            pull.close()


PULLS: Final = StreamingPulls()
"""Of this process: a runner creates readers by itself, and none can be passed to them."""
