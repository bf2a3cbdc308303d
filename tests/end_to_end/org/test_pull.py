"""`pull`: the org in the ledger's directory, to the end, within the budget, over kills."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.kills import killed_after
from tests.support.processes.org import asked, directory, org, people, pull, write_org
from tests.support.processes.program import json_lines
from tests.support.servers.sandbox_client import patch

pytestmark = pytest.mark.real


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(people(2_500))
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write_org(tmp_path, sandbox.url)
    return tmp_path


def test_a_thousand_prospects_cost_one_request_and_later_only_what_changed_is_read(
    folder: Path, sandbox: Sandbox
) -> None:
    first = pull(folder)
    assert first.status == 0, first.stderr
    assert {key: first.summary[key] for key in ("prospects", "read", "requests", "full")} == {
        "prospects": 2_500,
        "read": 2_500,
        "requests": 3,
        "full": True,
    }
    assert directory(folder / "ledger.db") == org(sandbox)

    patch(sandbox, 7, "tok-9f3c1b7e5d", custom4="realized")
    sandbox.seed({9_000: {"emails": ["New@Example.com"], "custom5": "exited"}})
    later = pull(folder)
    assert (later.summary["full"], later.summary["prospects"]) == (False, 2_501)
    assert directory(folder / "ledger.db") == org(sandbox)
    assert sandbox.violations() == []


def test_only_who_was_updated_since_is_asked_for(folder: Path, sandbox: Sandbox) -> None:
    pull(folder)
    pull(folder)
    queries = [each.query for each in sandbox.requests() if each.method == "GET"]
    assert "filter%5BupdatedAt%5D=" not in queries[0]
    assert "filter%5BupdatedAt%5D=" in queries[-1]


def test_deleted_prospects_are_noticed_by_reading_everybody(folder: Path, sandbox: Sandbox) -> None:
    pull(folder)
    sandbox.delete(17)
    sandbox.merge(18, into=19)
    assert 17 in directory(folder / "ledger.db")
    pull(folder)
    assert {17, 18} <= directory(folder / "ledger.db").keys()
    whole = pull(folder, "--full")
    assert (whole.summary["full"], whole.summary["prospects"]) == (True, 2_498)
    assert directory(folder / "ledger.db") == org(sandbox)


def test_another_mapped_field_is_read_of_everybody(folder: Path, sandbox: Sandbox) -> None:
    pull(folder)
    write_org(folder, sandbox.url, attributes=[{"source": "city", "target": "custom6"}])
    again = pull(folder)
    assert again.summary["full"] is True


def test_addresses_are_kept_as_digests_where_that_is_asked_for(
    folder: Path, sandbox: Sandbox
) -> None:
    pull(folder)
    write_org(folder, sandbox.url, directory={"hash": True})
    pull(folder)
    addresses = [address for (address,) in asked(folder, "SELECT address FROM addresses")]
    assert len(addresses) == 2_500
    assert not any("@" in each or "person" in each for each in addresses)


def test_a_user_who_may_not_read_is_told_which_scope_is_missing(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(scopes=("prospects.write",))) as sandbox:
        write_org(tmp_path, sandbox.url)
        ended = pull(tmp_path)
    assert ended.status == 2
    assert "prospects.read" in ended.stderr


def test_the_directory_is_written_to_a_file_with_its_fields(folder: Path) -> None:
    pull(folder, "--output=directory.jsonl")
    head, *rest = json_lines(folder / "directory.jsonl")
    assert head["directory"]["fields"] == ["custom4", "custom5"]
    assert len(rest) == 2_500
    assert rest[0]["emails"] == ["person1@example.com"]


def test_a_second_process_is_kept_off_a_ledger_that_is_in_use(folder: Path) -> None:
    ledger = folder / "ledger.db"
    pull(folder)
    (folder / "other").mkdir()
    from pipeline.ledger.store import owned  # noqa: PLC0415 - held for this test alone

    with owned(str(ledger)):
        ended = pull(folder)
    assert ended.status == 2
    assert "in use" in ended.stderr


@pytest.mark.parametrize("seed", range(3))
def test_a_pull_that_is_killed_goes_on_and_ends_with_the_org_as_it_is(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with running_sandbox(SandboxOptions(latency_seconds=0.03)) as sandbox:
        sandbox.seed(people(12_000))
        write_org(tmp_path, sandbox.url)
        words = ("pull", "--destination=destination.yaml", "--ledger=ledger.db", "--full")
        kills = 0
        for _ in range(4):
            kills += killed_after(chance.randrange(1, 6), sandbox, tmp_path, *words)
            # People go on working in Outreach meanwhile.
            some = chance.randrange(1, 12_000)
            if some in sandbox.prospects():
                sandbox.delete(some)
            sandbox.seed({20_000 + len(sandbox.requests()): {"custom4": "realized"}})
        assert kills
        assert pull(tmp_path).status == 0
        assert pull(tmp_path, "--full").status == 0
        assert directory(tmp_path / "ledger.db") == org(sandbox)
        assert sandbox.violations() == []
