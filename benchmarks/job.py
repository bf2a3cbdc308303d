"""The always-on job as its user runs it, and what is in its ledger."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from benchmarks.measure import PROGRAM, ROOT
from pipeline.ledger import history
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.store import connect, looked_at, owned
from tests.support.servers.pubsub_emulator import Emulator
from transforms.clock import micros

SOME = 2_000
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Job:
    """A running job.

    Attributes:
      process: its.
      log: what it said.
      began: when it was started, by the monotonic clock.
      ledger: path of its ledger, where it has one.
      peak_bytes: of memory, once it has ended.
    """

    process: subprocess.Popen[bytes]
    log: Path
    began: float
    ledger: Path | None = None
    peak_bytes: int = 0

    @property
    def processor_seconds(self) -> float | None:
        """Spent so far; None where the system does not say."""
        told = Path(f"/proc/{self.process.pid}/stat")
        if not told.exists():
            return None
        user, system = told.read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def until(self, done: Callable[[], bool], seconds: float) -> float:
        """Waits until something is so; returns seconds since the start.

        Raises:
          RuntimeError: the job has ended, or it took too long.
        """
        while not done():
            took = time.monotonic() - self.began
            if self.process.poll() is not None or took > seconds:
                raise RuntimeError(f"after {took:.0f} s\n{self.log.read_text(encoding='utf-8')}")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - self.began

    def pulls(self) -> bool:
        """Whether it has begun to pull."""
        return "pulling from" in self.log.read_text(encoding="utf-8")

    def totals(self) -> Counter[str]:
        """The running totals of its ledger."""
        with looked_at(str(self.ledger)) as connection:
            return history.totals(connection)


@contextmanager
def running(emulator: Emulator, subscription: str, destination: str, ledger: Path) -> Iterator[Job]:
    """Runs a job over a ledger until the ``with`` block ends, and stops it as a supervisor does."""
    flags = ["--input_subscription", subscription, "--ledger", str(ledger)]
    with running_program(emulator, destination, flags, ledger.with_suffix(".log")) as job:
        job.ledger = ledger
        yield job


@contextmanager
def running_program(
    emulator: Emulator, destination: str, flags: Sequence[str], log: Path
) -> Iterator[Job]:
    """Runs `run` with flags until the ``with`` block ends, and ends it with SIGTERM.

    Raises:
      RuntimeError: it ended with another status than 0.
    """
    with log.open("wb") as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            [*PROGRAM, "run", "--destination", destination, *flags],
            cwd=ROOT,
            env={**os.environ, "OUTREACH_TOKEN": "bench", **emulator.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        job = Job(process, log, began)
        try:
            yield job
        finally:
            process.terminate()
            _, status, spent = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            job.peak_bytes = spent.ru_maxrss * 1024
    if process.returncode != 0:
        raise RuntimeError(f"run ended with {process.returncode}\n{log.read_text('utf-8')}")


def fill(ledger: Path, bodies: Iterator[str]) -> None:
    """Puts messages into the inbox of a new ledger, as a subscription would have."""
    now = micros(time.time())
    numbers = count(10**15)  # As long as those of Pub/Sub.
    with owned(str(ledger)), closing(connect(str(ledger))) as connection:
        while some := [
            Message("projects/bench/subscriptions/changes", str(next(numbers)), now, LIVE, body)
            for body in map(str.encode, islice(bodies, SOME))
        ]:
            receive(connection, some, now)
