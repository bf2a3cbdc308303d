"""Signals reach a job whatever its main thread waits for."""

from __future__ import annotations

import io
import signal
import sys
import threading
import time

from rich.console import Console

from pipeline.console.progress import Board
from pipeline.jobs.signals import StopSignal, stopping
from tests.support.servers.sandbox_client import wait_for

MAIN = threading.main_thread()


def main_thread_waits() -> bool:
    frame = sys._current_frames().get(MAIN.ident or 0)
    return frame is not None and frame.f_code is StopSignal.wait.__code__


def test_a_signal_that_does_not_interrupt_the_wait_ends_it_all_the_same() -> None:
    board, stop_signal, said = Board(), StopSignal(), io.StringIO()

    def signal_elsewhere() -> None:
        wait_for(main_thread_waits)
        # Handled on this thread, it leaves the main thread where it is.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    other = threading.Thread(target=signal_elsewhere)
    with stopping(board, stop_signal, Console(file=said)):
        other.start()
        began = time.monotonic()
        stop_signal.wait(20)
        took = time.monotonic() - began
    other.join()
    assert stop_signal.stopped
    assert board.draining
    assert took < 10
    assert said.getvalue().startswith("SIGTERM: finishing")


def test_handlers_are_as_they_were_when_a_job_has_ended() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with stopping(Board(), StopSignal(), Console(file=io.StringIO())):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
