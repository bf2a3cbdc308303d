"""`object: account`: the same job for accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.processes.program import Ended, replay, run, write_destination, write_lines

pytestmark = pytest.mark.real

SEGMENTS = {"seg-a": 4, "seg-b": 5}
LEDGER = ("--ledger=ledger.db",)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(batch_seconds=0.3)) as running:
        running.seed(accounts(400), "account")
        yield running


def accounts(count: int) -> dict[int, dict[str, object]]:
    return {number: {"name": f"Company {number}"} for number in range(1, count + 1)}


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write(tmp_path, sandbox.url)
    return tmp_path


def write(folder: Path, url: str, **more: object) -> None:
    write_destination(folder, url, SEGMENTS, object="account", **more)


def deliver(folder: Path, numbers: range, status: str = "realized", **about: object) -> Ended:
    lines = [
        json.dumps({"outreach_id": each, "segment": "seg-a", "status": status, "attributes": about})
        for each in numbers
    ]
    write_lines(folder / "in.jsonl", lines)
    return replay(folder, "in.jsonl", more=LEDGER)


def test_an_accounts_field_is_written_and_its_receipt_says_of_what(
    folder: Path, sandbox: Sandbox
) -> None:
    write(folder, sandbox.url, attributes=[{"source": "sector", "target": "industry"}])
    ended = deliver(folder, range(1, 4), sector="Steel")
    assert ended.status == 0, ended.stderr
    assert sandbox.accounts()[1] == {
        "name": "Company 1",
        "custom4": "realized",
        "industry": "Steel",
    }
    assert sandbox.prospects() == {}
    assert {each["object"] for each in ended.receipts} == {"account"}
    assert {each.path.split("/")[3] for each in sandbox.requests()} == {"accounts"}


def test_an_account_that_is_gone_is_not_found(folder: Path) -> None:
    ended = deliver(folder, range(400, 402))
    assert [each["reason"] for each in ended.dead_letters] == ["not_found"]
    assert ended.summary["delivered"] == 1


def test_accounts_are_pulled_reconciled_and_cleared(folder: Path, sandbox: Sandbox) -> None:
    assert deliver(folder, range(1, 11)).status == 0
    words = ("--destination=destination.yaml", *LEDGER)
    pulled = run(folder, "pull", *words)
    assert (pulled.status, pulled.summary["prospects"]) == (0, 400)
    sandbox.seed({3: {"custom4": "by hand"}}, "account")
    checked = run(folder, "reconcile", *words, "--json")
    (found,) = [each for each in checked.summary["audiences"] if each["field"] == "custom4"]
    assert (checked.status, found["same"], found["different"]) == (3, 9, 1)
    cleared = run(folder, "clear", "custom4", *words, "--yes", "--force")
    assert cleared.summary["delivered"] == 10
    assert not any("custom4" in held for held in sandbox.accounts().values())


def test_many_accounts_are_written_by_bulk(tmp_path: Path, sandbox: Sandbox) -> None:
    write(tmp_path, sandbox.url, delivery={"bulk": {"mode": "auto", "min_prospects": 100}})
    ended = deliver(tmp_path, range(1, 401))
    assert ended.status == 0, ended.stderr
    assert {each["reason"] for each in ended.receipts} == {"bulk"}
    assert all(held["custom4"] == "realized" for held in sandbox.accounts().values())
    assert sandbox.violations() == []


def test_faults_cost_accounts_nothing(tmp_path: Path) -> None:
    faults = FaultSettings(error_500=0.1, reset_after=0.1, reset_before=0.1)
    with running_sandbox(SandboxOptions(faults=faults, seed=3)) as sandbox:
        sandbox.seed(accounts(150), "account")
        write(tmp_path, sandbox.url)
        ended = deliver(tmp_path, range(1, 151))
        assert (ended.status, ended.summary["delivered"] + ended.summary["unchanged"]) == (0, 150)
        assert all(held["custom4"] == "realized" for held in sandbox.accounts().values())


def test_validate_live_asks_for_the_scopes_and_fields_of_accounts(tmp_path: Path) -> None:
    from pipeline.sandbox.custom_fields import parse_field  # noqa: PLC0415 - for this test alone

    fields = (parse_field("account.custom4:label=Account intent"),)
    options = SandboxOptions(scopes=("prospects.all", "accounts.read"), fields=fields)
    with running_sandbox(options) as sandbox:
        write(tmp_path, sandbox.url)
        ended = run(tmp_path, "validate", "--destination=destination.yaml", "--live")
    said = " ".join((ended.stdout + ended.stderr).split())
    assert ended.status == 2
    assert "lacks the scope accounts.write" in said
    assert "Account intent" in said


def test_a_ledger_is_of_one_kind_of_object(folder: Path, sandbox: Sandbox) -> None:
    assert deliver(folder, range(1, 3)).status == 0
    write_destination(folder, sandbox.url, SEGMENTS)
    ended = replay(folder, "in.jsonl", more=LEDGER)
    assert ended.status == 2
    assert "is of accounts" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"attributes": [{"source": "a", "target": "firstName"}]}, "is no field of accounts"),
        ({"identity": {"match": "email"}}, "no account is known by that (email)"),
        (
            {"mode": "upsert", "identity": {"match": "outreach_id"}},
            "matched by outreach_id; write identity: {match: domain}",
        ),
    ],
)
def test_what_accounts_have_not_is_refused(
    tmp_path: Path, more: dict[str, object], said: str
) -> None:
    write(tmp_path, "http://127.0.0.1:9", **more)
    ended = run(tmp_path, "validate", "--destination=destination.yaml")
    assert ended.status == 2
    assert said in " ".join((ended.stdout + ended.stderr).split())


def test_a_rehearsal_has_the_accounts_of_the_files(tmp_path: Path) -> None:
    write(tmp_path, "http://127.0.0.1:9")
    write_lines(
        tmp_path / "in.jsonl", ['{"outreach_id": 7, "segment": "seg-a", "status": "exited"}']
    )
    ended = replay(tmp_path, "in.jsonl", more=("--sandbox",))
    assert ended.summary["delivered"] == 1
