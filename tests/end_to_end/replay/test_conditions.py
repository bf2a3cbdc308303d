"""Who is written at all: `only_if`, `empty: keep`, `write: if_empty`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.program import Ended, replay, run, write_destination, write_lines

pytestmark = pytest.mark.real

AMERICA = {"source": "country", "in": ["US", "CA"]}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=1_300)) as running:
        yield running


def record(prospect: int, status: str = "realized", **attributes: object) -> str:
    said = {"outreach_id": prospect, "segment": "seg-a", "status": status}
    return json.dumps({**said, "attributes": attributes})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = ("--ledger=l.db",)) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def test_what_a_condition_keeps_out_is_counted_explained_and_written_nowhere(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    condition = {"all": [AMERICA, {"any": [{"source": "vip", "equals": True}, _has("title")]}]}
    write_destination(tmp_path, sandbox.url, {"seg-a": 4}, only_if=condition)
    ended = deliver(
        tmp_path,
        record(1, country="us", vip=True),
        record(2, country="CA", title="CEO"),
        record(3, country="CA"),
        record(4, country="FR", vip=True),
        record(5),
    )
    assert ended.status == 0, ended.stderr
    summary = ended.summary
    assert (summary["changes"], summary["delivered"], summary["excluded"]) == (2, 2, 3)
    assert sorted(each for each, held in sandbox.prospects().items() if held) == [1, 2]
    said = run(tmp_path, "explain", "4", "--ledger=l.db").stdout
    assert "country is one of 'US', 'CA'" in said
    told = json.loads(run(tmp_path, "explain", "4", "--ledger=l.db", "--json").stdout)
    assert [each["what"] for each in told["excluded"]] == ["seg-a"]


def _has(source: str) -> dict[str, Any]:
    return {"source": source, "exists": True}


def test_a_condition_of_one_audience_leaves_the_others_alone(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_destination(tmp_path, sandbox.url, {"seg-a": 4, "seg-b": 5})
    path = tmp_path / "destination.yaml"
    content = json.loads(path.read_text())
    content["audiences"][0]["only_if"] = AMERICA
    path.write_text(json.dumps(content))
    other = json.dumps({"outreach_id": 1, "segment": "seg-b", "status": "realized"})
    ended = deliver(tmp_path, record(1, country="FR"), other)
    assert (ended.summary["delivered"], ended.summary["excluded"]) == (1, 1)
    assert sandbox.prospects()[1] == {"custom5": "realized"}


def test_conditions_hold_in_a_run_without_a_ledger_too(tmp_path: Path, sandbox: Sandbox) -> None:
    write_destination(tmp_path, sandbox.url, {"seg-a": 4}, only_if=AMERICA)
    lines = (record(1, country="US"), record(2, country="FR"))
    ended = deliver(tmp_path, *lines, more=("--dry_run",))
    assert (ended.summary["delivered"], ended.summary["excluded"]) == (1, 1)


def test_an_empty_attribute_keeps_what_its_field_holds_where_that_is_asked_for(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    attributes = [
        {"source": "title", "target": "title", "empty": "keep"},
        {"source": "city", "target": "addressCity"},
    ]
    sandbox.seed({1: {"title": "CEO", "addressCity": "Rome"}})
    write_destination(tmp_path, sandbox.url, {"seg-a": 4}, attributes=attributes)
    ended = deliver(tmp_path, record(1, title=None, city=None))
    assert sandbox.prospects()[1] == {"title": "CEO", "custom4": "realized"}
    assert (ended.summary["changes"], ended.summary["excluded"]) == (2, 1)


def test_a_field_is_written_only_if_it_is_empty_where_that_is_asked_for(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    attributes = [{"source": "title", "target": "title", "write": "if_empty"}]
    sandbox.seed({number: {"title": "CEO"} for number in range(1, 651)})
    write_destination(tmp_path, sandbox.url, {"seg-a": 4}, attributes=attributes)
    ended = deliver(tmp_path, *(record(each, title="CTO") for each in range(1, 1_301)))
    assert ended.status == 0, ended.stderr
    held = sandbox.prospects()
    assert {held[each]["title"] for each in range(1, 651)} == {"CEO"}
    assert {held[each]["title"] for each in range(651, 1_301)} == {"CTO"}
    assert {each["custom4"] for each in held.values()} == {"realized"}
    reasons = [each["reason"] for each in ended.receipts if each["outcome"] == "unchanged"]
    assert reasons == ["not_empty"] * 650
    reads = [each for each in sandbox.requests() if each.method == "GET"]
    assert len(reads) <= 6
    assert ended.summary["requests"] == 1_300 + len(reads)
    # What somebody empties is written by the next change, for nothing was remembered of it.
    sandbox.seed({1: {"title": None}})
    later = json.dumps({"outreach_id": 1, "attributes": {"title": "CTO"}})
    assert deliver(tmp_path, later).summary["delivered"] == 1
    assert sandbox.prospects()[1]["title"] == "CTO"


def test_a_user_who_may_not_read_is_paused_before_a_field_is_overwritten(tmp_path: Path) -> None:
    attributes = [{"source": "title", "target": "title", "write": "if_empty"}]
    options = SandboxOptions(prospects=3, scopes=("prospects.write",))
    with running_sandbox(options) as sandbox:
        sandbox.seed({1: {"title": "CEO"}})
        write_destination(tmp_path, sandbox.url, {"seg-a": 4}, attributes=attributes)
        ended = deliver(tmp_path, record(1, title="CTO"))
        assert ended.status == 2
        assert "prospects.read" in ended.stderr
        assert sandbox.prospects()[1] == {"title": "CEO"}


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"source": "country"}, "write one of in, equals and exists"),
        ({"in": ["US"]}, "one of all, any and source"),
        ({"all": [AMERICA], "any": [AMERICA]}, "one of all, any and source"),
        ({"source": "a", "equals": 1, "exists": True}, "write one of in, equals and exists"),
        ({"sauce": "a", "equals": 1}, "source"),
    ],
)
def test_a_condition_that_says_nothing_or_two_things_is_refused_with_its_line(
    tmp_path: Path, condition: dict[str, Any], said: str
) -> None:
    write_destination(tmp_path, "http://127.0.0.1:9", {"seg-a": 4}, only_if=condition)
    ended = run(tmp_path, "validate", "--destination=destination.yaml")
    assert ended.status == 2
    shown = " ".join((ended.stdout + ended.stderr).split())
    assert said in shown
    assert "destination.yaml:" in shown
