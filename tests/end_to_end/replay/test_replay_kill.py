"""A replay killed at random points: what it was about is finished, once, by the next."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.engine.outcome_committer import COMMIT_OUTCOMES
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS, values
from tests.support.data.trace import expected, flat_lines
from tests.support.processes.program import (
    command,
    environment,
    json_lines,
    write_destination,
    write_lines,
)
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import READY_OUTCOMES

pytestmark = [pytest.mark.kill, pytest.mark.real]

PROSPECTS = 300
LINES = list(flat_lines(900, PROSPECTS, SEGMENTS))
TERMS = {"requests": 120, "per_seconds": 1.0, "reserve": 10}
REPEATED_MOST = COMMIT_OUTCOMES + READY_OUTCOMES + Delivery().in_flight
"""Requests of one killed process that its successor may repeat: those whose outcomes were not
committed yet, or not even told, and those in flight."""


def slow() -> SandboxOptions:
    """A sandbox that needs a few seconds for all of it."""
    return SandboxOptions(
        prospects=PROSPECTS, limit=120, hour=1.0, window="sliding", latency_seconds=0.02
    )


def start(folder: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(
            *words,
            "--destination=destination.yaml",
            "--ledger=ledger.db",
            "--receipts=receipts.jsonl",
            "--dead_letters=dead_letters.jsonl",
        ),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def killed(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kills a process after so many seconds; False where it had ended by then."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def assert_finished_once(folder: Path, sandbox: Sandbox, kills: int) -> None:
    state = expected(LINES, FIELDS)
    receipts = json_lines(folder / "receipts.jsonl")
    told = Counter((one["outreach_id"], one["field"], one["event_time"]) for one in receipts)
    given = Counter(
        (one["outreach_id"], FIELDS[one["segment"]], one["event_time"])
        for one in map(json.loads, LINES)
    )
    patches = [one for one in sandbox.requests() if one.method == "PATCH"]
    assert values(sandbox) == state
    assert told == given
    assert json_lines(folder / "dead_letters.jsonl") == []
    assert len(patches) - len(state) <= kills * REPEATED_MOST
    assert [one for one in sandbox.violations() if one.kind != "overlap"] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_replay_that_is_killed_again_and_again_ends_as_if_it_never_was(
    tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    write_lines(tmp_path / "in.jsonl", LINES)
    with running_sandbox(slow()) as sandbox:
        write_destination(tmp_path, sandbox.url, NUMBERS, budget=TERMS)
        kills = 0
        while kills < 6 and killed(
            start(tmp_path, ["replay", "in.jsonl"]), moments.uniform(0.9, 2.6)
        ):
            kills += 1

        last = start(tmp_path, ["replay", "in.jsonl"])
        stdout, stderr = last.communicate(timeout=60)

        assert last.returncode == 0, stderr.decode()
        summary = json.loads(stdout.splitlines()[-1])
        assert kills > 1
        said = " ".join(stderr.decode().split())
        # Those that were killed may not have got as far as to begin.
        assert ("since it was begun" in said) == ("going on with the replay" in said)
        assert summary["changes"] == len(LINES)
        assert_finished_once(tmp_path, sandbox, kills)
