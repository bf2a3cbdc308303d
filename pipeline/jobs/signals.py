"""How a loop is woken, and how it is asked to stop."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from pipeline.console import progress

STOP_SECONDS = 9.0
"""How long ending may take in all: service managers and container runtimes grant ten."""
SAME_SECONDS = 1.0
"""Signals that come so soon after the first are taken for the same one."""


class StopSignal:
    """Wakes a loop that waits, and tells it to stop.

    A signal's handler may ring it. That interrupts anything, the methods of this class too, so
    that there is no lock here but the queue's, which is made for that.
    """

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopped_at: float | None = None

    def ring(self) -> None:
        """There is something to do."""
        if self._rung.empty():
            self._rung.put(None)

    def stop(self) -> None:
        """There is nothing more to do."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        self._rung.put(None)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped_at is not None

    @property
    def seconds_left(self) -> float:
        """Of the time that ending may take; all of it before `stop` was called."""
        if self._stopped_at is None:
            return STOP_SECONDS
        return max(0.0, self._stopped_at + STOP_SECONDS - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Until it is rung, or the time has passed."""
        with contextlib.suppress(queue.Empty):
            self._rung.get(timeout=max(0.0, seconds))
        while not self._rung.empty():
            self._rung.get()


@contextmanager
def on_signals(act: Callable[[str], None]) -> Iterator[None]:
    """While the block lasts, SIGINT and SIGTERM call `act` with the signal's name.

    It may interrupt anything of the main thread's, also somebody who is printing.
    """

    def heed(number: int, _frame: FrameType | None) -> None:
        act(signal.Signals(number).name)

    before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def stopping(board: progress.Board, stop_signal: StopSignal, console: Console) -> Iterator[None]:
    """While the block lasts, SIGINT and SIGTERM finish what is in flight and stop.

    Another one later ends the process at once, which loses nothing that is in the ledger.
    """
    news: queue.SimpleQueue[str] = queue.SimpleQueue()

    def stop(name: str) -> None:
        if stop_signal.stopped:
            # `timeout` and shells may send the same one to a process and to its group.
            if stop_signal.seconds_left < STOP_SECONDS - SAME_SECONDS:
                os._exit(1)
            return
        board.drain()
        stop_signal.stop()
        # Not told here: this may have interrupted somebody who is printing.
        news.put(name)

    def tell() -> None:
        while name := news.get():
            console.print(
                f"{name}: finishing the requests in flight; the rest waits in the ledger."
                " Once more ends at once."
            )

    teller = threading.Thread(target=tell, name="stopping", daemon=True)
    teller.start()
    try:
        with on_signals(stop):
            yield
    finally:
        news.put("")
        teller.join()
