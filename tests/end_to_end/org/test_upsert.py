"""`mode: upsert`: who is not in Outreach yet is created, once, with all that waits."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.processes.kills import killed_after
from tests.support.processes.org import SEGMENTS, address, asked, people, write_org
from tests.support.processes.program import Ended, replay, run, write_lines

pytestmark = pytest.mark.real

ATTRIBUTES = [{"source": "first", "target": "firstName"}]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(people(5))
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write_org(tmp_path, sandbox.url, mode="upsert", attributes=ATTRIBUTES)
    return tmp_path


def record(email: str, segment: str = "seg-a", status: str = "realized", **about: object) -> str:
    said: dict[str, Any] = {"email": email, "segment": segment, "status": status}
    return json.dumps({**said, "attributes": about})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = ("--ledger=ledger.db",)) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def by_mail(sandbox: Sandbox) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for attributes in sandbox.prospects().values():
        (email,) = attributes["emails"]  # type: ignore[misc]
        assert email not in found, f"{email} was created twice"
        found[email] = {name: held for name, held in attributes.items() if name != "emails"}
    return found


def test_who_is_unknown_is_created_with_all_that_waits_in_one_request(
    folder: Path, sandbox: Sandbox
) -> None:
    ended = deliver(
        folder,
        record("New@example.com", first="Ann"),
        record("new@example.com", "seg-b", "existing"),
        record(address(1)),
    )
    assert ended.status == 0, ended.stderr
    assert by_mail(sandbox)["new@example.com"] == {
        "firstName": "Ann",
        "custom4": "realized",
        "custom5": "existing",
    }
    told = Counter((each["outcome"], each["reason"]) for each in ended.receipts)
    assert told == {("delivered", "created"): 3, ("delivered", None): 1}
    posts = [each for each in sandbox.requests() if each.method == "POST"]
    assert len(posts) == 1
    assert {each["outreach_id"] for each in ended.receipts if each["reason"]} == {6}

    again = deliver(folder, record("new@example.com", first="Ann"))
    assert again.summary["unchanged"] == 2
    assert again.summary["requests"] == 0


def test_whoever_only_leaves_is_not_created(folder: Path, sandbox: Sandbox) -> None:
    ended = deliver(folder, record("gone@example.com", status="exited"))
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"]
    assert "gone@example.com" not in by_mail(sandbox)


def test_a_value_that_is_refused_costs_itself_and_not_the_prospect(
    tmp_path: Path,
) -> None:
    from pipeline.sandbox.custom_fields import parse_field  # noqa: PLC0415 - for this test alone

    fields = (parse_field("custom4:type=picklist,values=in|out"),)
    with running_sandbox(SandboxOptions(fields=fields)) as sandbox:
        write_org(tmp_path, sandbox.url, mode="upsert")
        ended = deliver(tmp_path, record("a@example.com"), record("a@example.com", "seg-b"))
        assert ended.summary["rejected"] == 1
        assert [each["reason"] for each in ended.dead_letters] == ["field_refused"]
        assert by_mail(sandbox) == {"a@example.com": {"custom5": "realized"}}


def test_a_dry_run_creates_nobody_and_says_what_it_would(folder: Path, sandbox: Sandbox) -> None:
    run(folder, "pull", "--destination=destination.yaml", "--ledger=ledger.db")
    ended = deliver(folder, record("new@example.com"), more=("--ledger=ledger.db", "--dry_run"))
    assert ended.summary["delivered"] == 1
    assert len(sandbox.prospects()) == 5


def test_upsert_is_refused_where_nothing_could_be_created(tmp_path: Path) -> None:
    write_org(tmp_path, "http://127.0.0.1:9", match="outreach_id", mode="upsert")
    ended = run(tmp_path, "validate", "--destination=destination.yaml")
    assert ended.status == 2
    assert "identity: {match: email}" in " ".join((ended.stdout + ended.stderr).split())


@pytest.mark.timeout(600)  # on a busy machine
def test_kills_and_lost_answers_create_nobody_twice(tmp_path: Path) -> None:
    # DRILL=2000,20 creates 2,000 with 20 kills, which takes minutes: CI does less.
    count, most_kills = map(int, os.environ.get("DRILL", "400,6").split(","))
    chance = random.Random(1)
    faults = FaultSettings(reset_after=0.03, error_500=0.03)
    options = SandboxOptions(latency_seconds=0.01, faults=faults, seed=1)
    with running_sandbox(options) as sandbox:
        write_org(tmp_path, sandbox.url, mode="upsert")
        write_lines(
            tmp_path / "in.jsonl",
            [record(address(each), chance.choice(sorted(SEGMENTS))) for each in range(count)],
        )
        words = ("replay", "in.jsonl", "--destination=destination.yaml", "--ledger=ledger.db")
        kills = 0
        while kills < most_kills and killed_after(
            chance.randrange(5, 80), sandbox, tmp_path, *words
        ):
            kills += 1
        assert kills >= most_kills // 3
        ended = replay(tmp_path, "in.jsonl", more=("--ledger=ledger.db",))
        assert ended.status == 0, ended.stderr
        found = by_mail(sandbox)
        assert found.keys() == {address(each) for each in range(count)}
        assert all(len(held) == 1 for held in found.values())
        counts = asked(
            tmp_path,
            "SELECT count(*), count(DISTINCT change_id) FROM receipts"
            " WHERE outcome <> 'superseded'",
        )
        assert counts == [(count, count)]
        assert asked(tmp_path, "SELECT count(*) FROM unresolved") == [(0,)]
