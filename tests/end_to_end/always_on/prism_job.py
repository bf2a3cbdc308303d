"""A streaming job on Prism, its topics, and what comes out of them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.sandbox.options import SandboxOptions
from tests.support.data.three_audiences import FIELDS, SEGMENTS
from tests.support.data.trace import expected, flat_lines, untied
from tests.support.processes.program import (
    command,
    environment,
)
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import wait_for

PROSPECTS = 120
LINES = untied(flat_lines(700, PROSPECTS, SEGMENTS))
STATE = expected(LINES, FIELDS)
MONDAY = "2026-01-05T08:00:00Z"


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a job's outputs go, and what came there."""

    receipts: Channel
    dead_letters: Channel
    deferred: Channel

    @property
    def flags(self) -> list[str]:
        return [
            f"--{name}={getattr(self, name).topic}"
            for name in ("receipts", "dead_letters", "deferred")
        ]


def taken(channel: Channel, count: int) -> list[dict[str, Any]]:
    """So many messages of a topic, or more if there are, as JSON; they are acknowledged."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        found.extend(json.loads(each.data) for each in channel.take())
        return len(found) >= count

    wait_for(enough, 30)
    enough()
    return found


class Job:
    """A job that runs; drained by SIGTERM, and then done."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def drain(self) -> dict[str, Any]:
        """Its summary, with its exit status as ``status``."""
        self.process.send_signal(signal.SIGTERM)
        stdout, _ = self.process.communicate(timeout=60)
        assert stdout, self.log.read_text()
        return {**json.loads(stdout.splitlines()[-1]), "status": self.process.returncode}


@contextmanager
def job(folder: Path, emulator: Emulator, channel: Channel, flags: Sequence[str]) -> Iterator[Job]:
    log = folder / "log"
    words = ["--destination=destination.yaml", f"--input_subscription={channel.subscription}"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command("run", *words, *flags),
            cwd=folder,
            env=environment(**emulator.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        yield Job(process, log)
    finally:
        print(log.read_text())  # noqa: T201 - shown where a test fails
        if process.poll() is None:
            process.kill()
            process.communicate()


def sandbox_of(limit: int = 100_000, hour: float = 3600.0) -> SandboxOptions:
    return SandboxOptions(prospects=PROSPECTS, limit=limit, hour=hour, window="sliding")


def told(receipts: Sequence[dict[str, Any]]) -> Counter[tuple[int, str, str]]:
    return Counter((one["outreach_id"], one["field"], one["event_time"]) for one in receipts)


def given(lines: Sequence[str]) -> Counter[tuple[int, str, str]]:
    found = map(json.loads, lines)
    return Counter((one["outreach_id"], FIELDS[one["segment"]], one["event_time"]) for one in found)
