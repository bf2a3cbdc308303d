"""Bulk actions: thousands of prospects with few requests, each proved, over faults and kills."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.processes.kills import killed_after
from tests.support.processes.org import asked
from tests.support.processes.program import (
    Ended,
    command,
    environment,
    replay,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real

SEGMENTS = {"seg-a": 4, "seg-b": 5}
BULK = {"mode": "auto", "min_prospects": 100, "max_ids": 500, "give_up_minutes": 0.1}
COUNT = 1_200


def options(**more: Any) -> SandboxOptions:
    return SandboxOptions(prospects=COUNT + 100, batch_seconds=0.4, **more)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(options()) as running:
        yield running


def lines(prospects: Sequence[int], segment: str = "seg-a", status: str = "realized") -> list[str]:
    return [
        json.dumps({"outreach_id": each, "segment": segment, "status": status})
        for each in prospects
    ]


def deliver(folder: Path, url: str, some: list[str], **bulk: Any) -> Ended:
    write_destination(folder, url, SEGMENTS, delivery={"bulk": {**BULK, **bulk}})
    write_lines(folder / "in.jsonl", some)
    return replay(folder, "in.jsonl", more=("--ledger=ledger.db",))


def told(ended: Ended) -> Counter[tuple[str, str | None]]:
    return Counter((each["outcome"], each["reason"]) for each in ended.receipts)


def held(sandbox: Sandbox, field: str = "custom4") -> dict[int, object]:
    return {each: had[field] for each, had in sandbox.prospects().items() if field in had}


def paths(sandbox: Sandbox) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in sandbox.requests():
        kind = "batch" if "/batches" in each.path else each.method
        found[kind] += 1
    return found


def test_a_first_activation_takes_few_requests_and_each_prospect_is_read_back(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    some = lines(range(1, COUNT + 1)) + lines(range(1, 301), "seg-b", "exited")
    ended = deliver(tmp_path, sandbox.url, some)
    assert ended.status == 0, ended.stderr
    assert told(ended) == {("delivered", "bulk"): COUNT + 300}
    assert held(sandbox) == dict.fromkeys(range(1, COUNT + 1), "realized")
    assert held(sandbox, "custom5") == dict.fromkeys(range(1, 301), "exited")
    assert paths(sandbox)["PATCH"] == 0
    assert ended.summary["requests"] < 40
    assert sandbox.violations() == []

    again = deliver(tmp_path, sandbox.url, some)
    assert (again.summary["requests"], again.summary["unchanged"]) == (0, COUNT + 300)


def test_what_everybody_holds_already_is_read_and_nothing_is_written(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    sandbox.seed({each: {"custom4": "realized"} for each in range(1, COUNT + 1)})
    ended = deliver(tmp_path, sandbox.url, lines(range(1, COUNT + 1)))
    assert ended.summary["unchanged"] == COUNT
    assert paths(sandbox)["batch"] == paths(sandbox)["PATCH"] == 0
    assert ended.summary["requests"] <= 5


def test_few_prospects_are_written_one_by_one(tmp_path: Path, sandbox: Sandbox) -> None:
    ended = deliver(tmp_path, sandbox.url, lines(range(1, 60)))
    assert told(ended) == {("delivered", None): 59}
    assert paths(sandbox)["batch"] == 0


def test_who_is_gone_and_who_may_not_be_changed_are_told_apart(tmp_path: Path) -> None:
    with running_sandbox(options(forbidden=frozenset({7}))) as sandbox:
        sandbox.delete(9)
        ended = deliver(tmp_path, sandbox.url, lines(range(1, 301)))
        reasons = {(each["reason"], each["payload"]["outreach_id"]) for each in ended.dead_letters}
        assert reasons == {("forbidden", 7), ("not_found", 9)}
        assert len(held(sandbox)) == 298
        assert ended.summary["changes"] == 300


@pytest.mark.parametrize("fault", ["batch_fails", "batch_skips", "batch_hangs"])
def test_whatever_goes_wrong_with_batches_all_is_delivered_once(tmp_path: Path, fault: str) -> None:
    faults = FaultSettings(**{fault: 0.5})
    with running_sandbox(options(faults=faults, seed=4)) as sandbox:
        ended = deliver(tmp_path, sandbox.url, lines(range(1, COUNT + 1)))
        assert ended.status == 0, ended.stderr
        assert held(sandbox) == dict.fromkeys(range(1, COUNT + 1), "realized")
        assert ended.summary["delivered"] == COUNT == len(ended.receipts)
        assert len({each["change_id"] for each in ended.receipts}) == COUNT
        assert {each.kind for each in sandbox.violations()} <= {"batch_overlap"}
        if fault != "batch_hangs":
            assert sandbox.violations() == []


def test_a_batch_that_claims_more_than_was_named_is_cancelled_and_no_other_follows(
    tmp_path: Path,
) -> None:
    with running_sandbox(options(faults=FaultSettings(batch_miscounts=1))) as sandbox:
        ended = deliver(tmp_path, sandbox.url, lines(range(1, COUNT + 1)))
        assert told(ended) == {("delivered", None): COUNT}
        assert "was about to change" in ended.stderr
        created = [each for each in sandbox.requests() if each.path.endswith("BulkModify")]
        cancelled = [each for each in sandbox.requests() if each.path.endswith("cancel")]
        assert (len(created), len(cancelled)) == (1, 1)
        assert not [each for each in sandbox.requests() if each.path.endswith("confirm")]


@pytest.mark.parametrize("scopes", [("prospects.all",), ("prospects.all", "batches.read")])
def test_without_the_scope_it_is_told_once_and_all_goes_one_by_one(
    tmp_path: Path, scopes: tuple[str, ...]
) -> None:
    with running_sandbox(options(scopes=scopes)) as sandbox:
        ended = deliver(tmp_path, sandbox.url, lines(range(1, COUNT + 1)))
        assert told(ended) == {("delivered", None): COUNT}
        assert ended.stderr.count("bulk actions are off for user ops") == 1
        assert "batches" in ended.stderr


def test_the_first_batch_of_a_user_is_small_and_must_come_out_right(tmp_path: Path) -> None:
    with running_sandbox(options(faults=FaultSettings(batch_skips=1))) as sandbox:
        ended = deliver(tmp_path, sandbox.url, lines(range(1, COUNT + 1)))
        assert "the first batch did not come out right" in ended.stderr
        assert Counter(each["reason"] for each in ended.receipts) == {"bulk": 45, None: COUNT - 45}
        sizes = asked(tmp_path, "SELECT prospects FROM batches WHERE state = 'settled'")
        assert sizes == [(50,)]
        assert held(sandbox) == dict.fromkeys(range(1, COUNT + 1), "realized")


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_state_of_a_batch_the_next_process_finds_it(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with running_sandbox(options(latency_seconds=0.02)) as sandbox:
        write_destination(tmp_path, sandbox.url, SEGMENTS, delivery={"bulk": BULK})
        some = lines(range(1, COUNT + 1)) + lines(range(200, 600), "seg-b", "exited")
        write_lines(tmp_path / "in.jsonl", some)
        words = ("replay", "in.jsonl", "--destination=destination.yaml", "--ledger=ledger.db")
        kills = 0
        while kills < 4 and killed_after(chance.randrange(1, 8), sandbox, tmp_path, *words):
            kills += 1
        assert kills
        ended = replay(tmp_path, "in.jsonl", more=("--ledger=ledger.db",))
        assert ended.status == 0, ended.stderr
        assert held(sandbox) == dict.fromkeys(range(1, COUNT + 1), "realized")
        assert held(sandbox, "custom5") == dict.fromkeys(range(200, 600), "exited")
        counts = asked(
            tmp_path,
            "SELECT count(*), count(DISTINCT change_id) FROM receipts WHERE outcome = 'delivered'",
        )
        assert counts == [(COUNT + 400, COUNT + 400)]
        assert asked(tmp_path, "SELECT count(*) FROM batch_members") == [(0,)]
        assert [each for each in sandbox.violations() if each.kind != "overlap"] == []


def test_a_newer_change_waits_for_the_batch_and_then_goes(tmp_path: Path) -> None:
    with running_sandbox(options()) as sandbox:
        write_destination(tmp_path, sandbox.url, SEGMENTS, delivery={"bulk": BULK})
        write_lines(tmp_path / "in.jsonl", lines(range(1, COUNT + 1)))
        words = ("replay", "in.jsonl", "--destination=destination.yaml", "--ledger=ledger.db")
        process = subprocess.Popen(
            command(*words), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while not any(each.path.endswith("confirm") for each in sandbox.requests()):
            assert time.monotonic() < until
            time.sleep(0.005)
        process.kill()
        process.wait()
        write_lines(tmp_path / "newer.jsonl", lines([1, 2, 3, 1_100], status="exited"))
        newer = replay(tmp_path, "newer.jsonl", more=("--ledger=ledger.db",))
        assert newer.status == 0, newer.stderr
        assert {sandbox.prospects()[each]["custom4"] for each in (1, 2, 3, 1_100)} == {"exited"}
        assert sandbox.prospects()[4]["custom4"] == "realized"
        assert sandbox.violations() == []


def test_a_runner_that_keeps_no_ledger_refuses_bulk(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url, SEGMENTS, delivery={"bulk": BULK})
    write_lines(tmp_path / "in.jsonl", lines([1]))
    ended = replay(tmp_path, "in.jsonl", more=("--runner=PrismRunner",))
    assert ended.status == 2
    assert "delivery.bulk" in ended.stderr
