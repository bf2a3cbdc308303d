"""`plan` says what a replay then takes, and sends nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.processes.program import replay, run, write_destination, write_lines

pytestmark = pytest.mark.real


def line(prospect: int, segment: str, day: int, status: str = "realized") -> str:
    time = f"2026-01-0{day}T00:00:00Z"
    said = {"outreach_id": prospect, "segment": segment, "status": status, "event_time": time}
    return json.dumps(said)


def test_a_plan_is_an_upper_bound_without_a_ledger_and_what_is_left_with_one(
    tmp_path: Path,
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(each, "a", 1) for each in range(1, 121)])
    later = [line(each, "a", 2, "realized" if each > 20 else "exited") for each in range(1, 121)]
    write_lines(tmp_path / "later.jsonl", [*later, line(1, "b", 2), line(500, "nobody's", 2)])
    with running_sandbox(SandboxOptions(prospects=200)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"a": 4, "b": 5})
        assert replay(tmp_path, "in.jsonl", more=["--ledger=l.db"]).status == 0
        asked = len(sandbox.requests())

        words = ("plan", "later.jsonl", "--destination=destination.yaml", "--json")
        bound = json.loads(run(tmp_path, *words).stdout)
        assert (bound["changes"], bound["prospects"], bound["unchanged"]) == (121, 120, 0)
        assert (bound["requests"], bound["upper_bound"]) == (
            {"patch": 120, "bulk": 0, "read": 1},
            True,
        )
        known = json.loads(run(tmp_path, *words, "--ledger=l.db").stdout)
        assert (known["changes"], known["prospects"], known["unchanged"]) == (121, 20, 100)
        assert known["upper_bound"] is True, "others may have written what is to be written"
        sandbox.seed({1: {"custom5": "realized"}, 2: {"custom4": "exited"}})
        pulled = run(tmp_path, "pull", "--destination=destination.yaml", "--ledger=l.db")
        assert pulled.status == 0
        asked = len(sandbox.requests())
        exact = json.loads(run(tmp_path, *words, "--ledger=l.db").stdout)
        assert (exact["changes"], exact["prospects"], exact["unchanged"]) == (121, 19, 102)
        assert exact["upper_bound"] is False
        assert [(each["segment"], each["written"]) for each in exact["by_audience"]] == [
            ("a", 19),
            ("b", 0),
        ]
        said = run(tmp_path, *words[:-1], "--ledger=l.db").stderr
        assert "121 changes, 102 of them known to be so already; exactly 19 prospects" in " ".join(
            said.split()
        )
        assert len(sandbox.requests()) == asked

        ended = replay(tmp_path, "later.jsonl", more=["--ledger=l.db"])
        assert ended.summary["requests"] == exact["requests"]["patch"] + exact["requests"]["read"]


def test_a_large_plan_says_how_long_it_takes(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [line(each, "a", 1) for each in range(1, 121)])
    budget = {"requests": 50, "per_seconds": 3600, "reserve": 0}
    write_destination(tmp_path, "http://127.0.0.1:9", {"a": 4}, budget=budget)
    words = ("plan", "in.jsonl", "--destination=destination.yaml", "--json")
    assert json.loads(run(tmp_path, *words).stdout)["hours"] == 2.0


def test_a_plan_with_bulk_actions_takes_few_requests(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [line(each, "a", 1) for each in range(1, 3_001)])
    more = {"delivery": {"bulk": {"mode": "auto", "max_ids": 1_000}}}
    write_destination(tmp_path, "http://127.0.0.1:9", {"a": 4, "b": 5}, **more)
    planned = json.loads(
        run(tmp_path, "plan", "in.jsonl", "--destination=destination.yaml", "--json").stdout
    )
    assert planned["prospects"] == 3_000
    assert planned["requests"] == {"patch": 0, "bulk": 18, "read": 3}
    assert planned["hours"] == 0
