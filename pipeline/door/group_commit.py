"""Bodies into the inbox, many in one transaction: each is answered once that is on the disk."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import closing
from typing import NamedTuple

from pipeline.ledger.inbox import Message, receive, unread
from pipeline.ledger.store import connect
from transforms.clock import micros

AT_ONCE = 500
"""Bodies of one transaction, at most."""
COUNT_SECONDS = 1.0
"""How often what waits in the inbox is counted."""


class NotKeptError(Exception):
    """Nothing was kept: the disk refuses, or the inbox is full."""


class _Waiting(NamedTuple):
    message: Message
    done: Future[None]


class GroupCommit:
    """Commits messages on a thread of its own, all that came meanwhile together.

    Args:
      ledger: its path.
      arrived: is called after each commit.
      clock: seconds since the epoch.
      inbox_limit: messages that may wait there to be taken in; more are refused.
    """

    def __init__(
        self,
        ledger: str,
        arrived: Callable[[], None],
        clock: Callable[[], float],
        inbox_limit: int,
    ) -> None:
        self._ledger = ledger
        self._arrived = arrived
        self._clock = clock
        self._inbox_limit = inbox_limit
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._waiting_inbox = 0
        self._counted_at = float("-inf")
        self._thread = threading.Thread(target=self._write, name="door-inbox", daemon=True)

    def open(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Commits what has come, and ends."""
        self._queue.put(None)
        self._thread.join()

    def keep(self, message: Message) -> Future[None]:
        """Has a message committed; the future is done when it is durable.

        It fails with `NotKeptError` where it was not kept.
        """
        done: Future[None] = Future()
        self._queue.put(_Waiting(message, done))
        return done

    def _write(self) -> None:
        with closing(connect(self._ledger)) as connection:
            while (first := self._queue.get()) is not None:
                some, ends = [first], False
                while len(some) < AT_ONCE:
                    try:
                        one = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if one is None:
                        ends = True
                        break
                    some.append(one)
                self._commit(connection, some)
                if ends:
                    return

    def _commit(self, connection: sqlite3.Connection, some: list[_Waiting]) -> None:
        try:
            self._check_room(connection)
            receive(connection, [each.message for each in some], micros(self._clock()))
        except Exception as problem:  # noqa: BLE001 - whoever waits is answered, whatever it is
            for each in some:
                settle_kept(each.done, NotKeptError(str(problem)))
            return
        self._waiting_inbox += len(some)
        for each in some:
            settle_kept(each.done, None)
        self._arrived()

    def _check_room(self, connection: sqlite3.Connection) -> None:
        now = self._clock()
        if now - self._counted_at >= COUNT_SECONDS:
            self._waiting_inbox, _ = unread(connection)
            self._counted_at = now
        if self._waiting_inbox >= self._inbox_limit:
            raise NotKeptError(f"{self._waiting_inbox:,} messages wait to be taken in")


def settle_kept(done: Future[None], problem: Exception | None) -> None:
    """Says that a message was kept, or why not.

    Nothing happens where whoever waited has gone, as the door is being closed.
    """
    with contextlib.suppress(InvalidStateError):
        if problem is None:
            done.set_result(None)
        else:
            done.set_exception(problem)
