"""Forgetting: a prospect out of every table, and no byte of it left in the file."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from pipeline.ledger import history
from pipeline.ledger.erasure import TABLES, forget, forget_again, is_pending, names, scrub
from pipeline.ledger.inbox import LIVE, Message, next_arrivals, receive, taken_in
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import (
    NOW,
    arrive,
    become_members,
    deliver,
    member,
    new_ledger,
    rows_of,
)
from transforms.elements import DELIVERED, REJECTED, Change, DeadLetter, Outcome

PROSPECT = 987_654_321_987
MARK = "Zwetschgenknödel"


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
