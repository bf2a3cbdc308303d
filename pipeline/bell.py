"""How a loop is woken, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from rich.console import Console

from pipeline import progress


@dataclass(slots=True)
class Bell:
    """Wakes a loop that waits, and tells it to stop."""

    _rung: threading.Event
    _stopped: threading.Event

    @classmethod
    def new(cls) -> Bell:
        """A bell that was not rung."""
        return cls(threading.Event(), threading.Event())

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    def stop(self) -> None:
        """There is nothing more to do."""
        self._stopped.set()
        self._rung.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def wait(self, seconds: float) -> None:
        """Until it is rung, or the time has passed."""
        self._rung.wait(max(0.0, seconds))
        self._rung.clear()


@contextmanager
def stopping(board: progress.Board, bell: Bell, console: Console) -> Iterator[None]:
    """While the block lasts, SIGINT and SIGTERM finish what is in flight and stop."""

    def stop(number: int, _frame: FrameType | None) -> None:
        if not bell.stopped:
            name = signal.Signals(number).name
            console.print(f"{name}: finishing the requests in flight; the rest waits in the ledger")
        board.drain()
        bell.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
