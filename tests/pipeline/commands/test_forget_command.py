"""`forget` as its user runs it: what it says went, also beside a replay or a running job."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from pipeline.ledger import erasure, history
from pipeline.ledger.inbox import Message, receive
from pipeline.ledger.store import looked_at
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.in_process.ledgers import (
    NOW,
    become_members,
    new_ledger,
    rows_of,
)
from tests.support.processes.program import (
    command,
    environment,
    replay,
    run,
    write_destination,
    write_lines,
)
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import wait_for


@pytest.mark.real
def test_the_command_says_what_went_and_what_it_cannot_reach(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [42, 43])
        receive(ledger, [Message("s", "1", NOW, 0, b"{}")], NOW)
        ledger.execute("INSERT INTO outputs VALUES ('receipts.jsonl', 'receipts', 0, 0)")
    said = run(tmp_path, "forget", "42", "--ledger=ledger.db")
    assert said.status == 0
    assert said.stdout == (
        "Prospect 42 is removed:\n"
        "  values known to be held: 1\n"
        "  receipts: 1\n"
        "It may be in 1 messages that are not taken in yet; the job forgets it again by itself"
        " when that has passed.\n"
        "Not touched: files and topics of receipts and dead letters (receipts.jsonl), backups of"
        " the ledger, and Outreach itself.\n"
    )
    assert (
        "holds nothing of prospect 42" in run(tmp_path, "forget", "42", "--ledger=ledger.db").stdout
    )
    assert run(tmp_path, "forget", "0", "--ledger=ledger.db").status == 2
    assert run(tmp_path, "forget", "42", "--ledger=none.db").status == 2
    assert not (tmp_path / "none.db").exists()


@pytest.mark.real
def test_a_replay_adds_up_although_changes_of_it_were_forgotten(tmp_path: Path) -> None:
    def line(prospect: int) -> str:
        return f'{{"outreach_id": {prospect}, "segment": "a", "status": "realized"}}'

    with running_sandbox(SandboxOptions(prospects=20)) as sandbox:
        budget = {"requests": 11, "per_seconds": 3600, "reserve": 1}
        write_destination(tmp_path, sandbox.url, {"a": 4}, budget=budget)
        write_lines(tmp_path / "in.jsonl", [line(each) for each in range(1, 21)])
        process = subprocess.Popen(
            command("replay", "in.jsonl", "--destination=destination.yaml", "--ledger=l.db"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            wait_for(lambda: len(filled(sandbox.prospects())) == 10, 60)
            left = set(range(1, 21)) - filled(sandbox.prospects())
            said = run(tmp_path, "forget", str(min(left)), "--ledger=l.db")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()
        assert said.stdout.startswith(f"Prospect {min(left)} is removed:\n  changes that waited: 1")
        write_destination(tmp_path, sandbox.url, {"a": 4})
        ended = replay(tmp_path, "in.jsonl", more=["--ledger=l.db"])
        assert ended.status == 0
        assert (ended.summary["changes"], ended.summary["delivered"]) == (19, 19)
        assert set(range(1, 21)) - filled(sandbox.prospects()) == {min(left)}


def filled(prospects: dict[int, dict[str, object]]) -> set[int]:
    return {each for each, fields in prospects.items() if fields.get("custom4") is not None}


@pytest.mark.real
def test_what_a_running_job_has_under_way_is_forgotten_when_it_has_ended(
    tmp_path: Path, emulator: Emulator, channel: Channel
) -> None:
    """The request is on its way when the prospect is forgotten, and is answered after."""
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=8.0)) as sandbox:
        write_destination(
            tmp_path,
            sandbox.url,
            {"a": 4},
            delivery={"hold_seconds": 0},
            directory={"refresh_minutes": 0},
        )
        process = subprocess.Popen(
            command(
                "run",
                "--destination=destination.yaml",
                f"--input_subscription={channel.subscription}",
                "--ledger=l.db",
            ),
            cwd=tmp_path,
            env=environment(**emulator.variables),
            stderr=subprocess.PIPE,
        )
        try:
            channel.publish('{"outreach_id": 7, "segment": "a", "status": "realized"}')
            wait_for(lambda: is_spent(tmp_path / "l.db"), 60)
            said = run(tmp_path, "forget", "7", "--ledger=l.db")
            assert said.status == 0
            assert "changes that waited: 1" in said.stdout
            assert "under way" not in said.stdout
            assert filled(sandbox.prospects()) == {7}
            with looked_at(str(tmp_path / "l.db")) as ledger:
                assert rows_of(ledger, 7) == 0
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 0
        finally:
            process.kill()
        with looked_at(str(tmp_path / "l.db")) as ledger:
            assert history.totals(ledger)["delivered"] == 0, "it is counted once, as forgotten"
            assert rows_of(ledger, 7) == 0
            assert not erasure.is_pending(ledger, 7)


def is_spent(path: Path) -> bool:
    """Whether a delivery is under way: its budget is saved before it begins."""
    if not path.exists():
        return False
    with sqlite3.connect(path) as connection:
        try:
            row = connection.execute("SELECT 1 FROM users WHERE budget IS NOT NULL").fetchone()
        except sqlite3.OperationalError:
            return False
    return row is not None
