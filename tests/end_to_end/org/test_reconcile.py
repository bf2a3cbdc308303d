"""`reconcile` and `clear`: whether Outreach holds what it should, and putting it right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.org import SEGMENTS
from tests.support.processes.program import Ended, replay, run, write_destination, write_lines

pytestmark = pytest.mark.real

MONDAY = "2026-01-05T08:00:00Z"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=700)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    """Where 650 prospects were made members."""
    write_destination(tmp_path, sandbox.url, SEGMENTS)
    assert deliver(tmp_path, range(1, 651)).status == 0
    return tmp_path


def deliver(
    folder: Path, prospects: Any, segment: str = "seg-a", status: str = "realized"
) -> Ended:
    lines = [
        json.dumps(
            {"outreach_id": each, "segment": segment, "status": status, "event_time": MONDAY}
        )
        for each in prospects
    ]
    write_lines(folder / "changes.jsonl", lines)
    return replay(folder, "changes.jsonl", more=("--ledger=ledger.db",))


def reconcile(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    words = ("--destination=destination.yaml", "--ledger=ledger.db", "--json")
    ended = run(folder, "reconcile", *words, *more)
    return ended.status, ended.summary


def of(found: dict[str, Any], field: str) -> dict[str, Any]:
    (one,) = [each for each in found["audiences"] if each["field"] == field]
    return one


def test_nothing_differs_where_nobody_has_touched_anything(folder: Path, sandbox: Sandbox) -> None:
    before = len(sandbox.requests())
    status, found = reconcile(folder)
    assert status == 0
    assert of(found, "custom4") == {
        "segment": "seg-a",
        "field": "custom4",
        "same": 650,
        "different": 0,
        "gone": 0,
        "edited": 0,
        "undelivered": 0,
        "examples": [],
    }
    assert found["requests"] == len(sandbox.requests()) - before == 2


def test_an_edit_by_hand_is_told_from_what_was_never_delivered_and_both_are_repaired(
    folder: Path, sandbox: Sandbox
) -> None:
    sandbox.seed({7: {"custom4": "by hand"}})
    sandbox.delete(8)
    with_trouble = write_destination
    with_trouble(folder, sandbox.url, SEGMENTS)
    refused = deliver(folder, [900], "seg-b")
    assert refused.summary["rejected"] == 1
    sandbox.seed([900])
    status, found = reconcile(folder)
    one, other = of(found, "custom4"), of(found, "custom5")
    assert status == 3
    counts = ("same", "different", "gone", "edited", "undelivered")
    assert [one[name] for name in counts] == [648, 1, 1, 1, 0]
    assert [other[name] for name in counts] == [0, 1, 0, 0, 1]
    assert {"outreach_id": 7, "should": "realized", "holds": "by hand", "cause": "edited"} in one[
        "examples"
    ]

    status, found = reconcile(folder, "--repair")
    assert (status, found["repaired"]) == (3, 2)
    assert sandbox.prospects()[7]["custom4"] == "realized"
    assert sandbox.prospects()[900]["custom5"] == "realized"
    status, found = reconcile(folder)
    assert (of(found, "custom4")["different"], of(found, "custom5")["different"]) == (0, 0)
    receipts = run(folder, "explain", "7", "--ledger=ledger.db").stdout
    assert "repair" in receipts


def test_a_newer_change_goes_before_a_repair(folder: Path, sandbox: Sandbox) -> None:
    sandbox.seed({7: {"custom4": "by hand"}})
    write_lines(
        folder / "newer.jsonl",
        ['{"outreach_id": 7, "segment": "seg-a", "status": "exited"}'],
    )
    assert replay(folder, "newer.jsonl", more=("--ledger=ledger.db",)).status == 0
    status, found = reconcile(folder, "--repair")
    assert (status, found["repaired"]) == (0, 0)
    assert sandbox.prospects()[7]["custom4"] == "exited"


def clear(folder: Path, target: str, *more: str) -> Ended:
    words = ("--destination=destination.yaml", "--ledger=ledger.db")
    return run(folder, "clear", target, *words, *more)


def test_a_field_of_an_audience_that_is_mapped_no_more_is_named_and_cleared(
    folder: Path, sandbox: Sandbox
) -> None:
    write_destination(folder, sandbox.url, {"seg-b": 5})
    assert deliver(folder, [1], "seg-b").status == 0  # a start with the new destination
    status = run(folder, "status", "--ledger=ledger.db").stdout
    assert "custom4 still holds in 650 prospects" in status
    assert "outreach-activation clear custom4" in " ".join(status.split())
    left = json.loads(run(folder, "status", "--ledger=ledger.db", "--json").stdout)["left_fields"]
    assert [(each["field"], each["prospects"]) for each in left] == [("custom4", 650)]
    checked = run(folder, "validate", "--destination=destination.yaml", "--ledger=ledger.db")
    assert "custom4" in checked.stdout + checked.stderr

    sandbox.seed({699: {"custom4": "by hand"}})
    asked = clear(folder, "seg-a")
    assert asked.status == 2
    assert "651 prospects" in asked.stderr
    assert "--yes" in asked.stderr
    done = clear(folder, "seg-a", "--yes")
    assert (done.status, done.summary["delivered"]) == (0, 651)
    assert not any("custom4" in held for held in sandbox.prospects().values())
    assert clear(folder, "custom4", "--yes").summary["prospects"] == 0
    status = run(folder, "status", "--ledger=ledger.db").stdout
    assert "custom4 still" not in status
    assert sandbox.violations() == []


def test_a_field_that_an_audience_owns_is_not_cleared_unless_forced(
    folder: Path, sandbox: Sandbox
) -> None:
    refused = clear(folder, "custom4", "--yes")
    assert refused.status == 2
    assert "--force" in refused.stderr
    assert clear(folder, "custom4", "--yes", "--force", "--to=unknown").status == 0
    assert {held["custom4"] for held in sandbox.prospects().values() if held} == {"unknown"}


def test_what_is_no_field_and_no_audience_is_refused_with_the_nearest(folder: Path) -> None:
    refused = clear(folder, "custom1234", "--yes")
    assert refused.status == 2
    assert "custom123" in refused.stderr
