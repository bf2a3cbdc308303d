"""Runs programs as a user would, and measures what they take from start to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROGRAM = [sys.executable, "-m", "pipeline"]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
      name: what was measured.
      figure: what came out, with its unit.
      aim: what it should be.
      met: whether it is; None where it could not be measured.
    """

    name: str
    figure: str
    aim: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """Nothing where the aim is met, else a word."""
        return {True: "", False: "missed", None: "not measured"}[self.met]


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended: how long it took, the most memory it held, what it printed."""

    seconds: float
    peak_bytes: int
    status: int
    output: str

    @property
    def summary(self) -> dict[str, Any]:
        """The last line, where that is a summary."""
        return json.loads(self.output.splitlines()[-1])


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ran:
    """Runs a program to its end.

    Raises:
      RuntimeError: it did not end with 0 or, as replay does after dead letters, with 3.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    output, errors = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}\n{errors}")
    peak = [int(line.split()[-1]) for line in errors.splitlines() if line.startswith("peak_kib")]
    return Ran(seconds, peak[-1] * 1024 if peak else 0, process.returncode, output)


def replay(*arguments: str, **environment: str) -> Ran:
    """Runs `replay`, with its peak memory measured."""
    return run(
        [sys.executable, "-m", "benchmarks.peak", "pipeline", "replay", *arguments],
        {"OUTREACH_TOKEN": "bench", **environment},
    )


@contextmanager
def sandbox(*arguments: str) -> Iterator[str]:
    """Runs a sandbox in a process of its own; gives its URL."""
    with subprocess.Popen(
        [*PROGRAM, "sandbox", "--port", "0", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def destination(
    folder: Path,
    url: str,
    audiences: Mapping[str, int],
    *,
    requests: int = 1_000_000,
    per_seconds: float = 3600.0,
    hold_seconds: float = 5.0,
) -> str:
    """Writes a destination file for a sandbox; `audiences` is segment to field number."""
    path = folder / "destination.yaml"
    path.write_text(
        json.dumps(
            {
                "name": "bench",
                "outreach": {"base_url": url},
                "delivery": {"hold_seconds": hold_seconds},
                "users": [
                    {
                        "name": "ops",
                        "auth": {"type": "bearer", "token_env": "OUTREACH_TOKEN"},
                        "budget": {
                            "requests": requests,
                            "per_seconds": per_seconds,
                            "reserve": 0,
                        },
                    }
                ],
                "audiences": [
                    {"segment": segment, "name": segment, "mapping_id": number}
                    for segment, number in audiences.items()
                ],
            }
        ),
        encoding="utf-8",
    )
    return str(path)
