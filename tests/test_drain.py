"""A replay that is asked to stop: what is in flight is finished, the rest can be replayed."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.program import (
    Ended,
    command,
    environment,
    json_lines,
    replay,
    write_destination,
    write_lines,
)
from tests.test_replay import NUMBERS, line, values

PROSPECTS = 300


def interrupted(folder: Path, number: signal.Signals) -> Ended:
    """Starts a replay, and signals it when it is well under way."""
    process = subprocess.Popen(
        command(
            "replay",
            "in.jsonl",
            "--destination=destination.yaml",
            "--receipts=receipts.jsonl",
            "--dead_letters=dead_letters.jsonl",
        ),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        # Receipts are written as they happen, so that they tell of the program's progress.
        while not written(folder / "receipts.jsonl", 30):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    return Ended(process.returncode, stdout, stderr, folder)


def written(path: Path, lines: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_dead_letters_finish_the_work(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(one) for one in range(1, PROSPECTS + 1)])
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = interrupted(tmp_path, number)

        summary = ended.summary
        assert ended.status == 3
        assert "Traceback" not in ended.stderr
        assert summary["deferred"] > 0
        assert summary["delivered"] == len(values(sandbox)) > 0
        assert summary["delivered"] + summary["deferred"] == summary["changes"] == PROSPECTS
        assert len(ended.receipts) == PROSPECTS
        assert len(ended.dead_letters) == summary["deferred"]
        assert {one["reason"] for one in ended.dead_letters} == {"deferred"}

        (tmp_path / "dead_letters.jsonl").rename(tmp_path / "rest.jsonl")
        again = replay(tmp_path, "rest.jsonl")

        assert again.status == 0
        assert again.summary["changes"] == summary["deferred"]
        assert len(values(sandbox)) == PROSPECTS
        assert json_lines(tmp_path / "dead_letters.jsonl") == []
