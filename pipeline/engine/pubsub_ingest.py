"""A Pub/Sub subscription into the inbox: acknowledged once it is on the disk, and not before."""

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

from pipeline.ledger.inbox import BACKFILL, LIVE, Message, receive
from pipeline.ledger.store import connect
from pipeline.monitoring.connectivity import Connectivity
from transforms.clock import micros, steady
from transforms.errors import ActivationError, ConfigurationError

_log = logging.getLogger(__name__)

MESSAGES_UNDER_WAY = 5_000
BYTES_UNDER_WAY = 64 * 2**20
"""What Pub/Sub hands over before it is acknowledged: as much as one commit takes well."""
LEASE_SECONDS = 10
"""What a process that died was handed comes to the next one after so long: the least there is."""
COMMIT_MESSAGES = 2_000
RETRY_SECONDS = 5.0
"""After the disk refused a commit."""
CLOSE_SECONDS = 1.5
"""How long the client may take to end; what it still holds then is delivered again."""


class Subscription:
    """Pulls from a subscription into a ledger's inbox, from `open` to `close`.

    Args:
      name: ``projects/P/subscriptions/S``.
      ledger: path of the ledger.
      arrived: is called whenever there is something new in the inbox, or pulling has ended.
      acknowledges: False to give all of it back in the end.

    Attributes:
      messages: new ones so far.
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
        self._pulled: queue.Queue[Any] = queue.Queue()
        self._closing = threading.Event()
        self._client: pubsub_v1.SubscriberClient | None = None
        self._pull: Future[Any] | None = None
        self._writer = threading.Thread(target=self._write, name="inbox", daemon=True)
        self._broken: Exception | None = None
        self._reach = Connectivity("Pub/Sub", steady, arrived)
        self.messages = 0

    def open(self) -> None:
        """Starts to pull.

        Raises:
          ConfigurationError: there are no credentials of Google's.
        """
        try:
            self._client = pubsub_v1.SubscriberClient()
        except GoogleAuthError as problem:
            raise ConfigurationError(f"cannot pull from {self._name}: {problem}") from problem
        self._reach.watch(self._client.transport.grpc_channel)
        self._pull = self._client.subscribe(
            self._name,
            callback=self._pulled.put,
            flow_control=pubsub_v1.types.FlowControl(
                max_messages=MESSAGES_UNDER_WAY,
                max_bytes=BYTES_UNDER_WAY,
                max_duration_per_lease_extension=LEASE_SECONDS,
            ),
            await_callbacks_on_shutdown=True,
        )
        self._pull.add_done_callback(lambda _: self._arrived())
        self._writer.start()

    @property
    def failure(self) -> BaseException | None:
        """Why pulling ended, if it did without being asked to."""
        if self._broken is not None:
            return self._broken
        if self._pull is None or not self._pull.done() or self._closing.is_set():
            return None
        return self._pull.exception()

    def check(self) -> None:
        """Returns while pulling goes on; tells people where Pub/Sub is away.

        Raises:
          ConfigurationError: it could not begin; nothing came.
          ActivationError: it ended. What was acknowledged is in the ledger.
        """
        failure = self.failure
        if failure is not None:
            kind = ActivationError if self.messages else ConfigurationError
            raise kind(f"cannot pull from {self._name}: {failure}") from failure
        self._reach.look()

    def close(self) -> None:
        """Stops to pull; what was pulled and not committed is given back."""
        if self._pull is None or self._client is None:
            return
        self._closing.set()
        self._writer.join()
        # What was acknowledged is told to Pub/Sub before the client ends.
        logging.getLogger("google.api_core.bidi").setLevel(logging.ERROR)  # That it takes longer.
        self._pull.cancel()
        with contextlib.suppress(Exception):  # Whatever it ended with, it has ended.
            self._pull.result(timeout=CLOSE_SECONDS)
        # A client that waits to try again is closed when it has, and complains: that may take
        # longer than there is time, and the process ends it too.
        if not self._reach.is_away:
            self._client.close()

    def _write(self) -> None:
        connection = connect(self._ledger)
        try:
            while not self._closing.is_set():
                some = self._next_some()
                if some:
                    self._commit(connection, some)
        except Exception as problem:  # noqa: BLE001 - told by `check`, in the thread that can end
            self._broken = problem
            self._arrived()
        finally:
            connection.close()
            while not self._pulled.empty():
                self._pulled.get().nack()
            for each in self._only_seen:
                each.nack()

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
                # Kept rather than given back: a redelivery counts against a message.
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
        return Message(
            self._name,
            pulled.message_id,
            micros(pulled.publish_time.timestamp()),
            BACKFILL if pulled.attributes.get("lane") == "backfill" else LIVE,
            pulled.data,
        )
