"""`run` as a process: started, asked to stop, killed, and asked what it wrote."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes.program import command, environment, json_lines
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import wait_for

PATIENCE_SECONDS = 60.0
STOP_SECONDS = 10.0
"""What `run` promises."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs: a folder with `destination.yaml`, and a subscription."""

    folder: Path
    emulator: Emulator
    channel: Channel

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def receipts(self) -> list[dict[str, object]]:
        path = self.folder / "receipts.jsonl"
        return json_lines(path) if path.exists() else []

    @property
    def words(self) -> list[str]:
        return [
            "run",
            "--destination=destination.yaml",
            f"--input_subscription={self.channel.subscription}",
            "--ledger=ledger.db",
            "--receipts=receipts.jsonl",
            "--dead_letters=dead_letters.jsonl",
        ]

    def start(self, words: Sequence[str] | None = None) -> Running:
        """Starts `run`, or whatever the words say instead."""
        log = self.folder / f"log-{time.monotonic_ns()}"
        with log.open("wb") as stderr, log.with_suffix(".out").open("wb") as stdout:
            process = subprocess.Popen(
                command(*self.words) if words is None else list(words),
                cwd=self.folder,
                env=environment(**self.emulator.variables),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        return Running(process, log)

    @contextmanager
    def running(self, words: Sequence[str] | None = None) -> Iterator[Running]:
        """The same, for as long as the ``with`` block lasts."""
        running = self.start(words)
        try:
            yield running
        finally:
            running.kill()

    def wait_for_receipts(self, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Until so many changes have their outcome."""
        path = self.folder / "receipts.jsonl"
        wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, seconds)

    def asked(self, query: str) -> list[tuple[object, ...]]:
        """What the ledger says, as any other process may ask it; nothing where there is none."""
        if not self.ledger.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as look:
            try:
                return look.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # It is being made.


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """What it has told people so far."""
        return self.log.read_text("utf-8")

    @property
    def summary(self) -> dict[str, Any]:
        """What it came to, once it has stopped."""
        return json.loads(self.log.with_suffix(".out").read_bytes().splitlines()[-1])

    def wait_for(self, words: str, seconds: float = PATIENCE_SECONDS, times: int = 1) -> None:
        """Until it has said so, so many times."""

        def has() -> bool:
            has_said = self.said.count(words) >= times
            assert has_said or self.process.poll() is None, self.said
            return has_said or self.said.count(words) >= times

        wait_for(has, seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Asks it to stop, which is to end with 0; returns how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout=2 * STOP_SECONDS)
        took = time.monotonic() - began
        assert status == 0, self.said
        return took

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait()
