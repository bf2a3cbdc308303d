"""Forgetting: a prospect out of every table, and no byte of it left in the file."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
from pathlib import Path

import orjson
import pytest

from pipeline.ledger import erasure, history
from pipeline.ledger.erasure import TABLES, forget, forget_again, is_pending, names, scrub
from pipeline.ledger.inbox import LIVE, Message, next_arrivals, receive, taken_in
from pipeline.ledger.store import looked_at, transaction
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.ledgers import NOW, arrive, become_members, deliver, member, new_ledger
from tests.support.program import command, environment, replay, run, write_destination, write_lines
from tests.support.pubsub_emulator import Channel, Emulator
from tests.support.sandbox_client import wait_for
from transforms.elements import DELIVERED, REJECTED, Change, DeadLetter, Outcome

PROSPECT = 987_654_321_987
MARK = "Zwetschgenknödel"


def rows_of(connection: sqlite3.Connection, outreach_id: int) -> int:
    return sum(
        connection.execute(
            f"SELECT count(*) FROM {table} WHERE outreach_id = ?",  # noqa: S608 - of ours
            (outreach_id,),
        ).fetchone()[0]
        for table in TABLES
    )


def marked(prospect: int, number: int) -> Change:
    """A change whose value and id are found by a search for the mark."""
    change = member(prospect, "realized")
    mark = f"{MARK}{number}"
    return change._replace(value=orjson.dumps(mark).decode(), change_id=mark, origin=mark)


def found_in(ledger: Path) -> list[str]:
    """The ledger's files that hold the mark."""
    files = [file for file in ledger.parent.iterdir() if file.name.startswith(ledger.name)]
    return [file.name for file in files if MARK.encode() in file.read_bytes()]


def letter(payload: object, stage: str = "parse") -> DeadLetter:
    text = orjson.dumps(payload).decode()
    return DeadLetter(stage, "not_json", "what is wrong", text, "in.jsonl:1", None, NOW)


def test_every_table_that_knows_prospects_forgets_them(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        of_prospects = {
            table
            for (table,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "outreach_id" in [row[1] for row in ledger.execute(f"PRAGMA table_info({table})")]
        }
        assert of_prospects == {*TABLES, "forgotten"}


def test_the_prospect_goes_and_all_others_stay(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [1, 2, PROSPECT])
        arrive(ledger, [member(each, "exited") for each in (1, 2, PROSPECT)])
        with transaction(ledger):
            refused = Outcome(REJECTED, [member(each, "realized") for each in (1, PROSPECT)], NOW)
            history.record(ledger, [refused])
        others = [rows_of(ledger, each) for each in (1, 2)]
        with transaction(ledger):
            removed = forget(ledger, PROSPECT, again=False)
        assert removed == {
            "waiting": 1,
            "queue": 1,
            "known": 1,
            "receipts": 2,
            "dead_letters": 1,
            "exits": 1,
        }
        assert rows_of(ledger, PROSPECT) == 0
        assert [rows_of(ledger, each) for each in (1, 2)] == others
        with transaction(ledger):
            assert forget(ledger, PROSPECT, again=False) == {}


@pytest.mark.parametrize("seed", range(4))
def test_no_byte_of_it_is_left_in_the_file_or_the_log(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    path = tmp_path / "ledger.db"
    with new_ledger(tmp_path) as ledger:
        for step in range(60):
            some = [member(source.randrange(1, 400), "realized") for _ in range(60)]
            arrive(ledger, [*some, marked(PROSPECT, step)], now=NOW + step)
            body = orjson.dumps({"outreach_id": PROSPECT, "name": f"{MARK}{step}"})
            receive(ledger, [Message("s", str(step), NOW, 0, body * 40)], NOW + step)
            with transaction(ledger):
                _, places, _ = next_arrivals(ledger, LIVE, 10)
                taken_in(ledger, places)
            if source.random() < 0.5:
                deliver(ledger, now=NOW + step)
            if source.random() < 0.2:
                history.prune(ledger, NOW + step - 10, NOW + step - 10)
        assert found_in(path)
        with transaction(ledger):
            forget(ledger, PROSPECT, again=False)
        assert scrub(ledger)
        assert found_in(path) == []


@pytest.mark.parametrize(
    ("payload", "is_named"),
    [
        ('{"outreach_id": 42, "status": "gone"}', True),
        ('{"outreach_id": "42", "status": "gone"}', True),
        ('{"outreach_id": 421, "status": "42"}', False),
        ('{"identityMap": {"Oid": [{"id": "42"}, {"id": "x"}]}}', True),
        ('[{"outreach_id": 1}, {"identityMap": {"Oid": [{"id": 42}]}}]', True),
        ('{"outreach_id": true, "id": 1.5, "other": 42}', False),
        ('{"outreach_id": 42, "status": ', True),
        ('{"outreach_id": 1042, "event_time": "2026-42-01", ', False),
        ("42,seg-a,gone", True),
        ("4 2,seg-a,gone", False),
        ({"base64": "eyJvdXRyZWFjaF9pZCI6IDQyLCAi/yI="}, True),
        ({"outreach_id": 42}, True),
    ],
)
def test_what_could_not_be_read_is_known_by_the_id_in_it(payload: object, is_named: bool) -> None:
    assert names({"payload": payload}, 42) is is_named


def test_dead_letters_that_name_it_go_with_it(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        with transaction(ledger):
            history.bury(ledger, [letter('{"outreach_id": 42}'), letter('{"outreach_id": 43}')])
            assert forget(ledger, 42, again=False) == {"dead_letters": 1}
        (line,) = ledger.execute("SELECT line FROM dead_letters").fetchone()
        assert b"43" in line


def test_it_is_forgotten_again_once_older_messages_were_taken_in(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        receive(ledger, [Message("s", "1", NOW, 0, b"{}")], NOW)
        with transaction(ledger):
            forget(ledger, 42, again=True)
        receive(ledger, [Message("s", "2", NOW, 0, b"{}")], NOW)
        forget_again(ledger)
        assert is_pending(ledger, 42)
        # The first message is taken in, and it was about the prospect.
        arrive(ledger, [member(42, "realized")])
        (first,) = ledger.execute("SELECT min(place) FROM inbox").fetchone()
        with transaction(ledger):
            taken_in(ledger, [first])
        forget_again(ledger)
        assert not is_pending(ledger, 42)
        assert rows_of(ledger, 42) == 0
        arrive(ledger, [member(42, "realized")])
        forget_again(ledger)
        assert rows_of(ledger, 42) > 0


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


def test_an_answer_about_a_prospect_that_was_forgotten_meanwhile_is_kept_nowhere(
    tmp_path: Path,
) -> None:
    with new_ledger(tmp_path) as ledger:
        under_way = [member(7, "realized"), member(8, "realized")]
        arrive(ledger, under_way)
        with transaction(ledger):
            forget(ledger, 7, again=True)
        with transaction(ledger):
            history.settle_sent(
                ledger, [Outcome(DELIVERED, [each], NOW, user="ops") for each in under_way]
            )
        assert rows_of(ledger, 7) == 0
        totals = history.totals(ledger)
        assert (totals["changes"], totals["delivered"], totals["forgotten"]) == (2, 1, 1)


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
