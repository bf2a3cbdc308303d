"""A held audience is let go by a command that says which, and can be copied."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from pipeline.ledger import guard
from pipeline.ledger.guard import GuardTerms
from pipeline.monitoring.alert_rules import describe
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.in_process.ledgers import (
    NOW,
    arrive,
    become_members,
    member,
    new_ledger,
)
from tests.support.processes.program import replay, run, write_destination, write_lines


def values(sandbox: Sandbox, field: str) -> dict[int, object]:
    """What a field holds, by prospect."""
    return {each: fields.get(field) for each, fields in sandbox.prospects().items()}


@pytest.mark.real
def test_replay_holds_asks_and_goes_on_once_it_is_let_go(tmp_path: Path) -> None:
    def lines(status: str, day: int, **prospects: range) -> list[str]:
        return [
            f'{{"outreach_id": {each}, "segment": "{segment}", "status": "{status}",'
            f' "event_time": "2026-01-0{day}T00:00:00Z"}}'
            for segment, some in prospects.items()
            for each in some
        ]

    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"left": 4, "stays": 5})
        everyone = range(1, 31)
        write_lines(tmp_path / "in.jsonl", lines("realized", 1, left=everyone, stays=everyone))
        exits = lines("exited", 2, left=range(1, 21), stays=range(1, 6))
        entries = lines("realized", 2, left=range(31, 41))
        write_lines(tmp_path / "out.jsonl", exits + entries)
        assert replay(tmp_path, "in.jsonl", more=["--ledger=l.db"]).status == 0
        before = values(sandbox, "custom4")

        asked = len(sandbox.requests())
        again = replay(tmp_path, "in.jsonl", more=["--ledger=l.db", "--dry_run"])
        assert (again.status, again.summary["unchanged"], again.summary["delivered"]) == (0, 60, 0)
        rehearsed = replay(tmp_path, "out.jsonl", more=["--ledger=l.db", "--dry_run"])
        assert (rehearsed.status, rehearsed.summary["delivered"], rehearsed.summary["kept"]) == (
            1, 5, 30,
        )  # fmt: skip
        assert "20 of its 30 known members would leave at once" in rehearsed.stderr
        assert "30 changes would not be sent; they would wait in l.db" in rehearsed.stderr
        assert len(sandbox.requests()) == asked

        stopped = replay(tmp_path, "out.jsonl", more=["--ledger=l.db"])
        assert stopped.status == 1
        ask = "outreach-activation release left --ledger l.db"
        assert "audience left: 20 of its 30 known members leave at once" in stopped.stderr
        assert ask in stopped.stderr
        # Nothing of the held audience went, entries neither; of the other all did.
        assert values(sandbox, "custom4") == before
        assert set(range(1, 6)) == {
            each for each, value in values(sandbox, "custom5").items() if value == "exited"
        }

        said = run(tmp_path, *ask.split()[1:])
        assert (said.status, said.stdout) == (
            0,
            "left is let go; 30 of its changes wait and will be sent\n",
        )
        ended = replay(tmp_path, "out.jsonl", more=["--ledger=l.db"])
        assert ended.status == 0
        assert Counter(values(sandbox, "custom4").values()) == {"exited": 20, "realized": 20}


@pytest.mark.real
def test_releasing_what_is_not_held_is_refused_with_what_is(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 21))
        exits = [member(each, "exited") for each in range(1, 21)]
        arrive(connection, exits, terms=GuardTerms(50.0, 3600.0))
    ended = run(tmp_path, "release", "seg-b", "--ledger=ledger.db")
    assert ended.status == 2
    assert "seg-b is not held; held are: 'seg-a (Audience a)'" in ended.stderr
    # By its name, as `status` shows it.
    assert run(tmp_path, "release", "audience a", "--ledger=ledger.db").status == 0
    again = run(tmp_path, "release", "seg-a", "--ledger=ledger.db")
    assert again.status == 0
    assert "was let go already" in again.stdout
    assert run(tmp_path, "release", "seg-a", "--ledger=none.db").status == 2


def test_the_command_can_be_copied_whatever_the_names_hold(ledger: sqlite3.Connection) -> None:
    ledger.execute("INSERT INTO held VALUES ('a b; rm', ?, 20, 11, NULL)", (NOW,))
    (one,) = guard.holds(ledger)
    assert one.name == "a b; rm"
    text = describe(one, "/var/my ledger.db")
    assert text.endswith("outreach-activation release 'a b; rm' --ledger '/var/my ledger.db'")
