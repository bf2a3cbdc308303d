"""A Pub/Sub subscription into the inbox: acknowledged once it is on the disk, and not before."""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from google.cloud import pubsub_v1

from pipeline.ledger.inbox import BACKFILL, LIVE, Message, receive
from pipeline.ledger.store import connect
from transforms.clock import micros, steady

_log = logging.getLogger(__name__)

MESSAGES_UNDER_WAY = 5_000
BYTES_UNDER_WAY = 64 * 2**20
"""What Pub/Sub hands over before it is acknowledged: as much as one commit takes well."""
COMMIT_MESSAGES = 2_000
RETRY_SECONDS = 5.0
"""After the disk refused a commit; the messages of that commit are given back."""


class Subscription:
    """Pulls from a subscription into a ledger's inbox, from `open` to `close`.

    Args:
      name: ``projects/P/subscriptions/S``.
      ledger: path of the ledger.
      arrived: is called whenever there is something new in the inbox.
    """

    def __init__(self, name: str, ledger: str, arrived: Callable[[], None]) -> None:
        self._name = name
        self._ledger = ledger
        self._arrived = arrived
        self._pulled: queue.Queue[Any] = queue.Queue()
        self._closing = threading.Event()
        self._client: pubsub_v1.SubscriberClient | None = None
        self._pull: Future[Any] | None = None
        self._writer = threading.Thread(target=self._write, name="inbox", daemon=True)
        self.messages = 0

    def open(self) -> None:
        """Starts to pull."""
        self._client = pubsub_v1.SubscriberClient()
        self._pull = self._client.subscribe(
            self._name,
            callback=self._pulled.put,
            flow_control=pubsub_v1.types.FlowControl(
                max_messages=MESSAGES_UNDER_WAY, max_bytes=BYTES_UNDER_WAY
            ),
            await_callbacks_on_shutdown=True,
        )
        self._writer.start()

    @property
    def failure(self) -> BaseException | None:
        """Why pulling ended, if it did without being asked to."""
        if self._pull is None or not self._pull.done() or self._closing.is_set():
            return None
        return self._pull.exception()

    def close(self) -> None:
        """Stops to pull; what was pulled and not committed is given back."""
        if self._pull is None or self._client is None:
            return
        self._closing.set()
        self._pull.cancel()
        self._writer.join()
        self._client.close()

    def _write(self) -> None:
        connection = connect(self._ledger)
        try:
            while not self._closing.is_set():
                some = self._next_some()
                if some:
                    self._commit(connection, some)
        finally:
            connection.close()
            while not self._pulled.empty():
                self._pulled.get().nack()

    def _next_some(self) -> list[Any]:
        some: list[Any] = []
        with contextlib.suppress(queue.Empty):
            some.append(self._pulled.get(timeout=0.25))
            while len(some) < COMMIT_MESSAGES:
                some.append(self._pulled.get_nowait())
        return some

    def _commit(self, connection: sqlite3.Connection, some: list[Any]) -> None:
        try:
            new = receive(connection, map(self._message, some), micros(steady()))
        except sqlite3.OperationalError as problem:
            _log.error("the inbox cannot be written: %s; messages are given back", problem)
            for each in some:
                each.nack()
            self._closing.wait(RETRY_SECONDS)
            return
        for each in some:
            each.ack()
        self.messages += new
        if new:
            self._arrived()

    def _message(self, pulled: Any) -> Message:  # noqa: ANN401 - the client's own class is untyped
        return Message(
            self._name,
            pulled.message_id,
            micros(pulled.publish_time.timestamp()),
            BACKFILL if pulled.attributes.get("lane") == "backfill" else LIVE,
            pulled.data,
        )
