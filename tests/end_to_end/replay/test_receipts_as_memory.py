"""Receipts given back to `replay`: what they say is remembered and not sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS, values
from tests.support.processes.program import replay, write_destination, write_lines

pytestmark = pytest.mark.real


def line(prospect: int, status: str, minute: int) -> str:
    return json.dumps(
        {
            "outreach_id": prospect,
            "segment": SEGMENTS[0],
            "status": status,
            "event_time": f"2026-01-02T03:{minute:02}:00Z",
        }
    )


@pytest.mark.parametrize("flags", [[], ["--ledger=fresh.db"]], ids=["in memory", "in a ledger"])
def test_a_replay_that_is_given_receipts_sends_nothing_older_and_nothing_that_is_so(
    tmp_path: Path, flags: list[str]
) -> None:
    with running_sandbox(SandboxOptions(prospects=10)) as sandbox:
        write_destination(tmp_path, sandbox.url, NUMBERS)
        write_lines(tmp_path / "first.jsonl", [line(each, "exited", 30) for each in (1, 2, 3, 4)])
        assert replay(tmp_path, "first.jsonl").summary["delivered"] == 4
        (tmp_path / "receipts.jsonl").rename(tmp_path / "memory.jsonl")
        before = len(sandbox.requests())
        write_lines(
            tmp_path / "rest.jsonl",
            [line(1, "realized", 10), line(2, "exited", 40), line(3, "realized", 50)],
        )

        ended = replay(tmp_path, "memory.jsonl", "rest.jsonl", more=flags)

        assert ended.status == 0, ended.stderr
        assert {one["outreach_id"]: one["outcome"] for one in ended.receipts} == {
            1: "superseded",
            2: "unchanged",
            3: "delivered",
        }
        assert (ended.summary["records"], ended.summary["changes"]) == (7, 3)
        assert len(sandbox.requests()) == before + 1
        held = {
            prospect: fields[FIELDS[SEGMENTS[0]]] for prospect, fields in values(sandbox).items()
        }
        assert held == {1: "exited", 2: "exited", 3: "realized", 4: "exited"}
