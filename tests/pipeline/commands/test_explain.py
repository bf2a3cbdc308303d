"""Explain: what each field of a prospect holds, and what became of every change to it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger import history
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.queries.prospect import read_past
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    arrive,
    become_members,
    deliver,
    member,
)
from tests.support.processes.program import run
from transforms.elements import REJECTED, Outcome, Patch

pytestmark = pytest.mark.real

SECOND = 1_000_000


def explained(folder: Path, prospect: int) -> dict[str, Any]:
    ended = run(folder, "explain", str(prospect), "--ledger=ledger.db", "--json")
    assert ended.status == 0
    found = json.loads(ended.stdout)
    assert found["outreach_id"] == prospect
    return found


def test_a_field_is_told_with_all_that_became_of_its_changes(
    tmp_path: Path, ledger: sqlite3.Connection
) -> None:
    entry, late, again, exit_, refused = (
        member(1, "realized", time=NOW),
        member(1, "exited", time=NOW - HOUR),
        member(1, "realized", time=NOW + HOUR),
        member(1, "exited", time=NOW + 2 * HOUR),
        member(1, "existing", "seg-b"),
    )
    arrive(ledger, [entry], now=NOW)
    deliver(ledger, now=NOW + SECOND)
    arrive(ledger, [late], now=NOW + 2 * SECOND)
    arrive(ledger, [again], now=NOW + 3 * SECOND)
    arrive(ledger, [exit_], now=NOW + 4 * SECOND)
    with transaction(ledger):
        answer = Outcome(
            REJECTED, [refused], NOW, "field_refused", "not in the picklist", 422, "ops"
        )
        history.record(ledger, [answer])
    first, second = explained(tmp_path, 1)["fields"]

    assert (first["field"], first["audience"]) == ("custom4", "Audience a")
    assert (first["known"], first["value"]) == (True, "realized")
    assert first["set_by"] == {
        "change_id": entry.change_id,
        "segment": "seg-a",
        "value": "realized",
        "event_time": first["set_by"]["event_time"],
        "outcome": "delivered",
        "reason": None,
        "detail": None,
        "http_status": 200,
        "user": "ops",
        "recorded_at": "2027-01-15T08:00:01Z",
    }
    assert first["confirmed_at"] == "2027-01-15T08:00:03Z"
    assert first["waiting"]["change_id"] == exit_.change_id
    assert (first["waiting"]["value"], first["waiting"]["user"]) == ("exited", "ops")
    assert [(each["outcome"], each["change_id"]) for each in first["others"]] == [
        ("unchanged", again.change_id),
        ("superseded", late.change_id),
    ]

    assert (second["field"], second["known"], second["set_by"]) == ("custom5", False, None)
    (other,) = second["others"]
    assert (other["outcome"], other["reason"], other["http_status"]) == (
        "rejected",
        "field_refused",
        422,
    )

    said = run(tmp_path, "explain", "1", "--ledger=ledger.db").stdout
    lines = [line.split(";")[0].strip() for line in said.splitlines() if line]
    assert lines[0] == "Prospect 1"
    assert lines[1:4] == [
        "custom4  Audience a",
        'value: "realized"',
        'set by: "realized" at 2027-01-15T08:00:01Z by ops answered 200',
    ]
    assert 'rejected: "existing" at 2027-01-15T08:00:00Z by ops answered 422: field_refused' in said


def test_what_waits_of_a_held_audience_says_so(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    assert explained(tmp_path, 1)["fields"][0]["waiting"]["held"] is True
    assert "its audience is held" in run(tmp_path, "explain", "1", "--ledger=ledger.db").stdout


def test_a_value_outlives_its_receipt(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    change = member(1, "realized")
    arrive(ledger, [change])
    deliver(ledger)
    ledger.execute("DELETE FROM receipts")
    (field,) = explained(tmp_path, 1)["fields"]
    assert (field["value"], field["set_by"]["change_id"]) == ("realized", change.change_id)
    assert (field["set_by"]["outcome"], field["set_by"]["recorded_at"]) == (None, None)
    assert (
        "whose receipt is no longer kept"
        in run(tmp_path, "explain", "1", "--ledger=ledger.db").stdout
    )


def test_a_value_is_in_doubt_while_a_request_may_have_changed_it(
    tmp_path: Path, ledger: sqlite3.Connection
) -> None:
    become_members(ledger, [1])
    assert explained(tmp_path, 1)["fields"][0]["doubted"] is False
    with transaction(ledger):
        history.doubt(ledger, [Patch(1, "ops", [member(1, "exited")])])
    assert explained(tmp_path, 1)["fields"][0]["doubted"] is True
    assert "in doubt: " in run(tmp_path, "explain", "1", "--ledger=ledger.db").stdout


def test_a_cleared_field_is_known_to_be_empty(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(1, "exited")._replace(value="null")])
    deliver(ledger)
    (field,) = explained(tmp_path, 1)["fields"]
    assert (field["known"], field["value"]) == (True, None)


def test_fields_are_told_in_the_order_of_their_numbers(ledger: sqlite3.Connection) -> None:
    fields = ["custom10", "custom9", "firstName", "custom100"]
    changes = [member(1, "realized")._replace(field=each, segment=each) for each in fields]
    arrive(ledger, changes)
    assert [each.name for each in read_past(ledger, 1)] == [
        "custom9",
        "custom10",
        "custom100",
        "firstName",
    ]


def test_an_unknown_prospect_is_no_error(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    become_members(ledger, [1])
    said = run(tmp_path, "explain", "2", "--ledger=ledger.db")
    assert said.status == 0
    assert said.stdout.startswith("The ledger knows nothing of prospect 2.\n")
    assert explained(tmp_path, 2) == {
        "outreach_id": 2,
        "known": False,
        "fields": [],
        "excluded": [],
    }


@pytest.mark.parametrize("prospect", ["0", "-1", "x", str(2**63)])
def test_what_is_no_outreach_id_is_refused(tmp_path: Path, prospect: str) -> None:
    said = run(tmp_path, "explain", "--ledger=ledger.db", "--", prospect)
    assert said.status == 2
    assert f"'{prospect}' is no OutreachId, which is a positive whole number" in said.stderr


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    said = run(tmp_path, "explain", "1", "--ledger=none.db")
    assert (said.status, said.stdout) == (2, "")
