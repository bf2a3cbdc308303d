"""Pulls a Pub/Sub subscription into the inbox; acknowledges a message once it is on the disk."""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.io.streaming_pull import all_of, close_client, end_pull, open_pull, return_messages
from pipeline.ledger.inbox import BACKFILL, LIVE, Message, receive
from pipeline.ledger.store import connect
from pipeline.monitoring.connectivity import Connectivity
from transforms.clock import micros, steady
from transforms.errors import ActivationError, ConfigurationError
from transforms.plan import SOURCE_ATTRIBUTE, SOURCE_PREFIX

_log = logging.getLogger(__name__)

MESSAGES_UNDER_WAY = 5_000
BYTES_UNDER_WAY = 64 * 2**20
"""How much Pub/Sub delivers before any of it is acknowledged: as much as one commit takes well."""
LEASE_SECONDS = 10
"""The messages of a process that died come to the next one after so long: the least possible."""
COMMIT_MESSAGES = 2_000
RETRY_SECONDS = 5.0
"""How long to wait after the disk refused a commit."""
CLOSE_SECONDS = 1.5
"""How long the client may take to end; what it still holds then is delivered again."""


class Subscription:
    """Pulls from a subscription into a ledger's inbox, from `open` to `close`.

    Args:
      name: ``projects/P/subscriptions/S``.
      ledger: path of the ledger.
      arrived: called whenever there is a new message in the inbox, or pulling has ended.
      acknowledges: False to return all messages to Pub/Sub in the end.

    Attributes:
      messages: how many new messages were committed so far.
    """

    def __init__(
        self,
        name: str,
        ledger: str,
        arrived: Callable[[], None],
        *,
        acknowledges: bool = True,
    ) -> None:
        self._acknowledges = acknowledges
        self._only_seen: list[Any] = []
        self._name = name
        self._ledger = ledger
        self._arrived = arrived
        self._pulled: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._client: pubsub_v1.SubscriberClient | None = None
        self._pull: Future[Any] | None = None
        self._writer = threading.Thread(target=self._write, name="inbox", daemon=True)
        self._broken: Exception | None = None
        self._reach = Connectivity("Pub/Sub", steady, arrived)
        self.messages = 0

    def open(self) -> None:
        """Starts pulling.

        Raises:
          ConfigurationError: Google's credentials are missing.
        """
        try:
            self._client = pubsub_v1.SubscriberClient()
        except GoogleAuthError as problem:
            raise ConfigurationError(f"cannot pull from {self._name}: {problem}") from problem
        self._reach.watch(self._client.transport.grpc_channel)
        self._pull = open_pull(
            self._client,
            self._name,
            self._pulled.put,
            max_messages=MESSAGES_UNDER_WAY,
            max_bytes=BYTES_UNDER_WAY,
            max_duration_per_lease_extension=LEASE_SECONDS,
        )
        self._pull.add_done_callback(lambda _: self._arrived())
        self._writer.start()

    @property
    def failure(self) -> BaseException | None:
        """Why pulling ended by itself; None while it goes on, and after `close`."""
        if self._broken is not None:
            return self._broken
        if self._pull is None or not self._pull.done() or self._closing.is_set():
            return None
        return self._pull.exception()

    def check(self) -> None:
        """Returns while pulling goes on; logs once when Pub/Sub cannot be reached.

        Raises:
          ConfigurationError: pulling could not begin; no message came.
          ActivationError: pulling ended. Every acknowledged message is in the ledger.
        """
        failure = self.failure
        if failure is not None:
            kind = ActivationError if self.messages else ConfigurationError
            raise kind(f"cannot pull from {self._name}: {failure}") from failure
        self._reach.look()

    def close(self) -> None:
        """Stops pulling; messages that were not committed are returned to Pub/Sub."""
        if self._pull is None or self._client is None:
            return
        self._closing.set()
        self._writer.join()
        # Acknowledgements reach Pub/Sub before the client ends.
        logging.getLogger("google.api_core.bidi").setLevel(
            logging.ERROR
        )  # It warns of ends that take longer.
        end_pull(self._pull, CLOSE_SECONDS)
        return_messages(self._name, [*self._only_seen, *all_of(self._pulled)])
        close_client(self._client, CLOSE_SECONDS)

    def _write(self) -> None:
        connection = connect(self._ledger)
        try:
            while not self._closing.is_set():
                some = self._next_some()
                if some:
                    self._commit(connection, some)
        except Exception as problem:  # noqa: BLE001 - raised by `check`, in the main thread
            self._broken = problem
            self._arrived()
        finally:
            connection.close()

    def _next_some(self) -> list[Any]:
        some: list[Any] = []
        with contextlib.suppress(queue.Empty):
            some.append(self._pulled.get(timeout=0.25))
            while len(some) < COMMIT_MESSAGES:
                some.append(self._pulled.get_nowait())
        return some

    def _commit(self, connection: sqlite3.Connection, some: Sequence[Any]) -> None:
        messages = [self._message(each) for each in some]
        is_refused = False
        while True:
            try:
                new = receive(connection, messages, micros(steady()))
                break
            except sqlite3.OperationalError as problem:
                # Kept, not returned: each redelivery counts towards a dead-letter policy.
                if not is_refused:
                    _log.error("the inbox cannot be written: %s; trying again", problem)
                is_refused = True
                if self._closing.wait(RETRY_SECONDS):
                    for each in some:
                        each.nack()
                    return
        if self._acknowledges:
            for each in some:
                each.ack()
        else:
            self._only_seen += some
        self.messages += new
        if new:
            self._arrived()

    def _message(self, pulled: Any) -> Message:  # noqa: ANN401 - the client's own class is untyped
        posted = pulled.attributes.get(SOURCE_ATTRIBUTE)
        return Message(
            self._name if posted is None else SOURCE_PREFIX + posted,
            pulled.message_id,
            micros(pulled.publish_time.timestamp()),
            BACKFILL if pulled.attributes.get("lane") == "backfill" else LIVE,
            pulled.data,
        )
