"""Prospects by e-mail: found in the directory, looked up together, or dead letters for later."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.processes.org import SEGMENTS, address, asked, by_mail, people, pull, write_org
from tests.support.processes.program import Ended, replay, run, write_lines

pytestmark = pytest.mark.real

MONDAY = "2026-01-05T08:00:00Z"
TUESDAY = "2026-01-06T08:00:00Z"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(people(20))
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write_org(tmp_path, sandbox.url)
    return tmp_path


def deliver(folder: Path, lines: list[str], *more: str) -> Ended:
    write_lines(folder / "changes.jsonl", lines)
    return replay(folder, "changes.jsonl", more=more)


def test_a_replay_reads_the_org_and_writes_to_whom_the_addresses_are(
    folder: Path, sandbox: Sandbox
) -> None:
    ended = deliver(
        folder,
        by_mail(
            [
                (" PERSON1@example.com", "seg-a", "realized", MONDAY),
                ("person1@example.com", "seg-a", "exited", TUESDAY),
                ("person2@example.com", "seg-b", "existing", MONDAY),
                ("nobody@example.com", "seg-z", "existing", MONDAY),
            ]
        ),
    )
    assert ended.status == 0, ended.stderr
    assert sandbox.prospects()[1]["custom4"] == "exited"
    assert sandbox.prospects()[2]["custom5"] == "existing"
    summary = ended.summary
    assert (summary["changes"], summary["superseded"], summary["unmapped"]) == (3, 1, 1)


def test_who_is_not_in_the_directory_is_looked_up_once_for_all(
    folder: Path, sandbox: Sandbox
) -> None:
    assert pull(folder).status == 0
    sandbox.seed(people(300, first=100))
    before = len(sandbox.requests())
    lines = by_mail((address(each), "seg-a", "realized", MONDAY) for each in range(100, 400))
    ended = deliver(folder, lines, "--ledger=ledger.db")
    assert ended.summary["delivered"] == 300
    looked_up = [
        each for each in sandbox.requests()[before:] if "filter%5Bemails%5D=" in each.query
    ]
    assert len(looked_up) == 2
    assert {sandbox.prospects()[each]["custom4"] for each in range(100, 400)} == {"realized"}


def test_who_is_unknown_becomes_a_dead_letter_that_a_later_replay_delivers(
    folder: Path, sandbox: Sandbox
) -> None:
    lines = by_mail(
        [
            ("late@example.com", "seg-a", "realized", MONDAY),
            (address(3), "seg-a", "realized", MONDAY),
        ]
    )
    first = deliver(folder, lines)
    assert first.status == 3
    (letter,) = first.dead_letters
    assert (letter["stage"], letter["reason"]) == ("deliver", "prospect_unknown")
    assert letter["payload"]["email"] == "late@example.com"
    (receipt,) = [each for each in first.receipts if each["outcome"] == "rejected"]
    assert (receipt["outreach_id"], receipt["field"]) == (None, "custom4")
    assert first.summary["changes"] == 2

    sandbox.seed({77: {"emails": ["Late@example.com"]}})
    (folder / "dead_letters.jsonl").rename(folder / "again.jsonl")
    again = replay(folder, "again.jsonl")
    assert again.status == 0, again.stderr
    assert sandbox.prospects()[77]["custom4"] == "realized"
    assert again.receipts[0]["change_id"] == receipt["change_id"]


def test_an_address_of_two_prospects_is_ambiguous_and_written_to_neither(
    folder: Path, sandbox: Sandbox
) -> None:
    sandbox.seed({30: {"emails": ["twin@example.com"]}, 31: {"emails": ["twin@example.com"]}})
    ended = deliver(folder, by_mail([("twin@example.com", "seg-a", "realized", MONDAY)]))
    (letter,) = ended.dead_letters
    assert letter["reason"] == "identity_ambiguous"
    assert "custom4" not in {**sandbox.prospects()[30], **sandbox.prospects()[31]}


def test_a_merged_prospect_is_looked_up_again_and_the_other_gets_the_change(
    folder: Path, sandbox: Sandbox
) -> None:
    assert pull(folder).status == 0
    sandbox.merge(5, into=6)
    sandbox.delete(7)
    lines = by_mail(
        [(address(5), "seg-a", "realized", MONDAY), (address(7), "seg-a", "realized", MONDAY)]
    )
    ended = deliver(folder, lines, "--ledger=ledger.db")
    assert sandbox.prospects()[6]["custom4"] == "realized"
    outcomes = {(each["outreach_id"], each["outcome"], each["reason"]) for each in ended.receipts}
    assert outcomes == {(6, "delivered", None), (7, "rejected", "not_found")}
    assert ended.summary["changes"] == 2


def test_an_external_id_finds_its_prospect(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.seed({40: {"externalId": "crm-40"}, 41: {"externalId": "41"}})
    write_org(tmp_path, sandbox.url, match="external_id")
    lines = [
        json.dumps({"external_id": known, "segment": "seg-a", "status": "realized"})
        for known in ("crm-40", 41, "crm-0")
    ]
    ended = deliver(tmp_path, lines)
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"]
    assert {sandbox.prospects()[each]["custom4"] for each in (40, 41)} == {"realized"}


def test_what_the_directory_says_a_field_holds_costs_no_request(
    folder: Path, sandbox: Sandbox
) -> None:
    sandbox.seed({1: {"custom4": "realized"}})
    assert pull(folder).status == 0
    lines = by_mail(
        [(address(1), "seg-a", "realized", MONDAY), (address(2), "seg-a", "realized", MONDAY)]
    )
    ended = deliver(folder, lines, "--ledger=ledger.db")
    assert {(each["outcome"], each["reason"]) for each in ended.receipts} == {
        ("unchanged", "directory"),
        ("delivered", None),
    }
    assert ended.summary["requests"] == 1
    # What was delivered is in the directory too; what somebody changes by hand is sent again.
    sandbox.seed({2: {"custom4": "edited"}})
    assert pull(folder).status == 0
    again = deliver(
        folder, by_mail([(address(2), "seg-a", "realized", TUESDAY)]), "--ledger=ledger.db"
    )
    assert again.summary["delivered"] == 1
    assert sandbox.prospects()[2]["custom4"] == "realized"


def test_a_dry_run_asks_for_nothing_and_goes_by_the_directory(
    folder: Path, sandbox: Sandbox
) -> None:
    lines = by_mail([(address(1), "seg-a", "realized", MONDAY)])
    blind = deliver(folder, lines, "--dry_run", "--ledger=ledger.db")
    assert blind.status == 2
    assert "outreach-activation pull" in blind.stderr
    assert pull(folder).status == 0
    before = len(sandbox.requests())
    ended = deliver(folder, lines, "--dry_run", "--ledger=ledger.db")
    assert (ended.status, ended.summary["delivered"]) == (0, 1)
    assert len(sandbox.requests()) == before


def test_a_runner_without_a_ledger_finds_prospects_in_a_file(folder: Path) -> None:
    assert pull(folder, "--output=directory.jsonl").status == 0
    lines = by_mail(
        [
            (address(1), "seg-a", "realized", MONDAY),
            ("late@example.com", "seg-a", "realized", MONDAY),
        ]
    )
    write_lines(folder / "changes.jsonl", lines)
    more = ("--dry_run", "--directory=directory.jsonl")
    ended = replay(folder, "changes.jsonl", more=more)
    assert (ended.summary["delivered"], ended.summary["rejected"]) == (1, 1)
    assert [each["reason"] for each in ended.dead_letters] == ["prospect_unknown"]
    refused = replay(folder, "changes.jsonl", more=("--dry_run",))
    assert refused.status == 2
    assert "--directory FILE" in refused.stderr


@pytest.mark.parametrize("seed", range(3))
def test_a_trace_by_mail_ends_in_the_oracles_state_while_people_work_in_outreach(
    folder: Path, sandbox: Sandbox, seed: int
) -> None:
    chance = random.Random(seed)
    newest: dict[tuple[int, str], tuple[str, str]] = {}
    mails = {number: address(number) for number in range(1, 21)}
    for day in range(4):
        if day:  # One is created, one renamed, one merged, one deleted.
            created = 100 + day
            mails[created] = address(created)
            sandbox.seed({created: {"emails": [address(created)]}})
            renamed, merged, deleted = chance.sample(sorted(set(mails) - {created}), 3)
            mails[renamed] = f"renamed{day}@example.com"
            sandbox.seed({renamed: {"emails": [mails[renamed]]}})
            sandbox.merge(merged, into=created)
            sandbox.delete(deleted)
            for gone in (merged, deleted):
                del mails[gone]
        lines: list[str] = []
        for _ in range(40):
            person = chance.choice(sorted(mails))
            segment = chance.choice(sorted(SEGMENTS))
            status = chance.choice(["realized", "existing", "exited"])
            time = f"2026-01-{day + 5:02}T{chance.randrange(24):02}:00:{chance.randrange(60):02}Z"
            rank = (time, status)
            if newest.get((person, segment), ("",))[0] == time:
                continue
            newest[person, segment] = max(newest.get((person, segment), rank), rank)
            lines += by_mail([(mails[person], segment, status, time)])
        chance.shuffle(lines)
        ended = deliver(folder, lines, "--ledger=ledger.db")
        assert ended.status == 0, (ended.stderr, ended.dead_letters)
    held = {
        (person, segment): sandbox.prospects()[person].get(f"custom{SEGMENTS[segment]}")
        for person, segment in newest
        if person in mails
    }
    assert held == {key: newest[key][1] for key in held}
    assert asked(folder, "SELECT count(*) FROM unresolved") == [(0,)]
    assert sandbox.violations() == []


def test_forget_removes_a_prospect_from_the_directory_and_from_what_waits(folder: Path) -> None:
    deliver(
        folder,
        by_mail([("person9@example.com", "seg-a", "realized", MONDAY)]),
        "--ledger=ledger.db",
    )
    ended = run(folder, "forget", "9", "--ledger=ledger.db")
    assert ended.status == 0, ended.stderr
    assert b"person9@" not in (folder / "ledger.db").read_bytes()
