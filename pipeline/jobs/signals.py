"""How a job is woken, stopped and drained: the one place where SIGINT and SIGTERM are handled."""

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
    """Wakes a thread that waits for work, and tells it to stop.

    A signal handler may call any method. A handler interrupts anything, these methods too, so
    the only lock is that of the queue, which is made for that.
    """

    def __init__(self) -> None:
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stopped_at: float | None = None

    def wake(self) -> None:
        """Ends the current `wait`, or the next one: there is work."""
        if self._wakes.empty():
            self._wakes.put(None)

    def stop(self) -> None:
        """Sets `stopped`, and ends the current `wait`."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        self._wakes.put(None)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped_at is not None

    @property
    def seconds_left(self) -> float:
        """Seconds left for ending; `STOP_SECONDS` before `stop` was called."""
        if self._stopped_at is None:
            return STOP_SECONDS
        return max(0.0, self._stopped_at + STOP_SECONDS - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Waits until `wake` or `stop` is called, or the time has passed."""
        with contextlib.suppress(queue.Empty):
            self._wakes.get(timeout=max(0.0, seconds))
        while not self._wakes.empty():
            self._wakes.get()


@contextmanager
def on_signals(act: Callable[[str], None]) -> Iterator[None]:
    """While the block lasts, SIGINT and SIGTERM call `act` with the signal's name.

    The call may interrupt anything that the main thread does, printing too.
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
def draining(
    drain: Callable[[], None], is_draining: Callable[[], bool], console: Console, doing: str
) -> Iterator[None]:
    """While the block lasts, the first SIGINT or SIGTERM drains and the second ends the process.

    Args:
      drain: makes the job end with what is under way.
      is_draining: whether `drain` was called.
      console: standard error.
      doing: what the job does from then on, for people.
    """

    def act(name: str) -> None:
        if is_draining():
            os._exit(1)
        drain()
        console.print(f"{name}: {doing} Once more ends at once.")

    with on_signals(act):
        yield


@contextmanager
def stopping(board: progress.Board, stop_signal: StopSignal, console: Console) -> Iterator[None]:
    """While the block lasts, SIGINT and SIGTERM finish what is in flight and stop.

    A later signal ends the process at once, which loses nothing that is in the ledger.
    """
    received: queue.SimpleQueue[str] = queue.SimpleQueue()

    def stop(name: str) -> None:
        if stop_signal.stopped:
            # `timeout` and shells may send one signal to a process and to its group.
            if stop_signal.seconds_left < STOP_SECONDS - SAME_SECONDS:
                os._exit(1)
            return
        board.drain()
        stop_signal.stop()
        # Printed by another thread: this handler may have interrupted one that is printing.
        received.put(name)

    def report() -> None:
        while name := received.get():
            console.print(
                f"{name}: finishing the requests in flight; the rest waits in the ledger."
                " Once more ends at once."
            )

    reporter = threading.Thread(target=report, name="stopping", daemon=True)
    reporter.start()
    try:
        with on_signals(stop):
            yield
    finally:
        received.put("")
        reporter.join()
