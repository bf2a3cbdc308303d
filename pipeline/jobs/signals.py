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
    """Wakes a thread that waits for work, and tells it to stop; any thread may call any method."""

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

    It is called on a thread of its own. Python runs a handler between two instructions of the main
    thread: a signal that comes just before that thread begins to wait does not end the wait, and
    its handler runs when the wait is over. What is written to the wakeup descriptor is written
    when the signal comes (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).

    Must be entered on the main thread.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)

    def heed() -> None:
        while number := os.read(readable, 1):
            if number[0] in before:
                act(signal.Signals(number[0]).name)

    wakeup = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    heeding = threading.Thread(target=heed, name="signals", daemon=True)
    heeding.start()
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
        signal.set_wakeup_fd(wakeup)
        os.close(writable)
        heeding.join()
        os.close(readable)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Keeps the system from ending the process: `on_signals` acts by the wakeup descriptor."""


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

    def stop(name: str) -> None:
        if stop_signal.stopped:
            # `timeout` and shells may send one signal to a process and to its group.
            if stop_signal.seconds_left < STOP_SECONDS - SAME_SECONDS:
                os._exit(1)
            return
        board.drain()
        stop_signal.stop()
        console.print(
            f"{name}: finishing the requests in flight; the rest waits in the ledger."
            " Once more ends at once."
        )

    with on_signals(stop):
        yield
