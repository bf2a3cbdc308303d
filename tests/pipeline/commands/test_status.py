"""Status: what waits, who may spend what, and when it will be empty, from the ledger alone."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.console.formatting import duration
from pipeline.ledger import history, users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BACKFILL, Message, receive
from pipeline.ledger.queries.snapshot_reader import ERRORS, read_snapshot
from pipeline.ledger.store import transaction
from tests.docs.test_docs import quoted, rows
from tests.support.in_process.ledgers import (
    NOW,
    SECONDS,
    arrive,
    become_members,
    deliver,
    held,
    member,
    new_ledger,
)
from tests.support.processes.program import ROOT, command, environment, run
from transforms.budget.budget import Budget
from transforms.budget.forecast import granted_at
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import REJECTED, Outcome

WHOLE = ("totals", "last_hour", "audiences[].outcomes", "audiences[].freshness")
"""Objects that the page explains in one row."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path, ["ops", "sales"]) as connection:
        yield connection


def spend(connection: sqlite3.Connection, user: str, count: int, ago: float = 0.0) -> None:
    """So many requests of a user were answered a while ago."""
    budget = Budget(BudgetTerms())
    budget.take(count, SECONDS - ago)
    budget.settle(SECONDS - ago)
    users.save_budget(connection, user, budget)


def test_what_waits_is_told_by_audience_and_user_oldest_first(ledger: sqlite3.Connection) -> None:
    minute = 60_000_000
    arrive(
        ledger,
        [member(each, "realized", "seg-b", user="sales") for each in (1, 2)],
        now=NOW - 2 * minute,
    )
    arrive(ledger, [member(3, "realized")], now=NOW - 5 * minute)
    arrive(ledger, [member(4, "realized"), member(4, "realized", "seg-b")], now=NOW, lane=BACKFILL)
    found = read_snapshot(ledger, SECONDS)
    assert [
        (each.segment, each.user, each.changes, SECONDS - each.oldest_at) for each in found.waiting
    ] == [
        ("seg-a", "ops", 2, 300),
        ("seg-b", "sales", 2, 120),
        ("seg-b", "ops", 1, 0),
    ]
    assert (found.changes, SECONDS - (found.oldest_at or 0)) == (5, 300)
    assert [
        (each.user, each.lane, each.prospects) for user in found.users for each in user.lanes
    ] == [("ops", 0, 1), ("ops", 1, 1), ("sales", 0, 2)]
    assert found.audience("seg-a") == "Audience a"
    assert found.audience(None) == "profile attributes"
    assert found.audience("unmapped") == "unmapped"


def test_a_user_is_told_with_the_budget_as_it_is_now(ledger: sqlite3.Connection) -> None:
    spend(ledger, "ops", 9_500, ago=600)
    spend(ledger, "sales", 500, ago=600)
    arrive(ledger, [member(each, "realized") for each in range(1, 4)])
    ops, sales = read_snapshot(ledger, SECONDS).users
    assert (ops.available, ops.allowance) == (0, 9_500)
    assert ops.more_at == pytest.approx(SECONDS + 3000, abs=11)
    assert ops.empty_at == ops.more_at
    assert (sales.available, sales.changes) == (9_000, 0)
    assert sales.more_at == ops.more_at


def test_a_user_that_the_destination_no_longer_names_is_told_while_something_waits(
    ledger: sqlite3.Connection,
) -> None:
    arrive(ledger, [member(1, "realized", user="gone")])
    with transaction(ledger):
        users.name_users(ledger, {"ops": BudgetTerms()})
    found = read_snapshot(ledger, SECONDS)
    assert [(each.name, each.allowance, each.changes) for each in found.users] == [
        ("gone", None, 1),
        ("ops", 9_500, 0),
    ]
    assert found.empty_at is None


def test_the_backlog_has_no_end_while_a_person_is_waited_for(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    assert read_snapshot(ledger, SECONDS).empty_at == SECONDS
    arrive(ledger, [member(1, "existing")])
    assert read_snapshot(ledger, SECONDS).empty_at == SECONDS
    users.set_paused(ledger, "ops", "user 'ops': the token is refused; run connect", NOW)
    assert read_snapshot(ledger, SECONDS).empty_at is None
    users.set_paused(ledger, "ops", None, NOW)
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    assert held(ledger) == ["seg-a"]
    assert read_snapshot(ledger, SECONDS).empty_at is None


@given(
    spent=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 12)), max_size=6),
    count=st.integers(0, 60),
    left=st.none() | st.integers(0, 10),
    in_flight=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_the_forecast_is_when_a_budget_grants_the_last_one(
    spent: list[tuple[int, int]], count: int, left: int | None, in_flight: int
) -> None:
    terms = BudgetTerms(12, 100.0, 2)

    def budget() -> Budget:
        made = Budget(terms)
        for at, requests in sorted(spent):
            made.take(requests, float(at))
            made.settle(float(at))
        if left is not None and made.take(1, 99.0)[0]:
            made.learn(RateLimits(12, left, 130.0), 99.0, answers_when_sent=made.answers)
        made.take(in_flight, 99.0)
        return made

    now, sent, at = budget(), 0, 100.0
    now.settle(at)
    while sent < count:
        granted, wait = now.take(1, at)
        sent += granted
        if granted:
            now.settle(at)
        else:
            at += max(wait, 0.001)
    # A bucket is a 360th of a window: what is taken one by one may leave one by one.
    windows = 1 + count // terms.allowance
    assert granted_at(budget(), count, 100.0) == pytest.approx(at, abs=windows * 100.0 / 360 + 0.01)


def test_a_forecast_of_a_million_requests_takes_no_time() -> None:
    budget = Budget(BudgetTerms())
    assert granted_at(budget, 1_000_000, 0.0) == pytest.approx(1_000_000 // 9_500 * 3600.0)


def test_the_last_hour_and_the_last_errors_are_told(ledger: sqlite3.Connection) -> None:
    become_members(ledger, [1, 2])
    hour = 3_600_000_000
    for number, at in enumerate(range(NOW - 15 * hour, NOW, hour)):
        with transaction(ledger):
            refused = [member(number + 100, "realized")]
            history.record(ledger, [Outcome(REJECTED, refused, at + 1, "not_found", "gone", 404)])
    found = read_snapshot(ledger, SECONDS)
    assert dict(found.lately) == {
        "delivered": 2,
        "unchanged": 0,
        "superseded": 0,
        "rejected": 1,
        "deferred": 0,
    }
    assert len(found.errors) == ERRORS
    assert [each["payload"]["outreach_id"] for each in found.errors][:3] == [114, 113, 112]


def test_each_question_is_answered_from_an_index(ledger: sqlite3.Connection) -> None:
    asked: list[str] = []
    ledger.set_trace_callback(asked.append)
    arrive(ledger, [member(1, "realized")])
    receive(ledger, [Message("s", "1", NOW, 0, b"{}")], NOW)
    asked.clear()
    read_snapshot(ledger, SECONDS)
    ledger.set_trace_callback(None)
    large = ("waiting", "queue", "receipts", "inbox", "dead_letters", "known", "exits")
    for query in asked:
        if not query.startswith("SELECT"):
            continue
        for *_, step in ledger.execute(f"EXPLAIN QUERY PLAN {query}"):
            table = step.split()[1] if step.startswith(("SCAN", "SEARCH")) else ""
            by_id_or_index = "INDEX" in step or "PRIMARY KEY" in step or "rowid" in step
            newest_first = "ORDER BY id DESC LIMIT" in query
            assert table not in large or by_id_or_index or newest_first, (query, step)
            sorts = "TEMP B-TREE FOR GROUP BY" in step
            assert not sorts or "FROM audiences" in query, query


@pytest.mark.real
def test_json_has_the_keys_that_the_page_explains(
    tmp_path: Path, ledger: sqlite3.Connection
) -> None:
    become_members(ledger, range(1, 21))
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    with transaction(ledger):
        history.record(ledger, [Outcome(REJECTED, [member(7, "realized")], NOW, "not_found")])
        ledger.execute("INSERT INTO alerts VALUES ('late', 'ops', 'text', ?, NULL, NULL)", (NOW,))
    ended = run(tmp_path, "status", "--ledger=ledger.db", "--json")
    assert ended.status == 0
    (line,) = ended.stdout.splitlines()
    found = json.loads(line)
    assert found["process"] == os.getpid()
    assert found["held"][0]["changes"] == 20

    def keys(value: object, path: str = "") -> Iterator[str]:
        if isinstance(value, list):
            value = value[0] if value else None
            path += "[]"
        if isinstance(value, dict) and path not in WHOLE:
            for key, inner in value.items():
                yield from keys(inner, f"{path}.{key}".strip("."))
        else:
            yield path.replace("[]", "")

    table = rows(ROOT / "docs" / "ledger.md", "### status --json")[1:]
    explained = [key for row in table for key in quoted(row[0])]
    assert explained == list(dict.fromkeys(keys(found)))


@pytest.mark.real
def test_a_person_reads_what_presses_first(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    now = int(time.time() * 1e6)
    become_members(ledger, range(1, 21))
    spend(ledger, "sales", 9_500)
    arrive(
        ledger,
        [member(each, "exited") for each in range(1, 21)],
        terms=GuardTerms(),
        now=now - 7_500_000_000,
    )
    users.set_paused(ledger, "ops", "user 'ops': the token is refused; set [OUTREACH_TOKEN]", 1)
    receive(ledger, [Message("s", "1", NOW, 0, b"{}")], now - 90_000_000)
    said = run(tmp_path, "status", "--ledger=ledger.db")
    text = " ".join(said.stdout.split())
    assert said.status == 0
    assert f"the job is running (process {os.getpid()})" in text
    assert "20 changes of 20 prospects wait, the oldest for 2 h 5 min" in text
    assert re.search(r"1 message is not taken in yet, the oldest for 1 min 3\d s\.", text)
    assert "paused user 'ops': the token is refused; set [OUTREACH_TOKEN]" in text
    assert "audience Audience a: 20 of its 20 known members leave at once" in text
    assert "outreach-activation release seg-a --ledger ledger.db" in text


@pytest.mark.real
def test_the_command_that_lets_an_audience_go_is_one_line_to_be_copied(
    tmp_path: Path, ledger: sqlite3.Connection
) -> None:
    segment = "5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"
    ledger.execute("INSERT INTO held VALUES (?, ?, 20, 11, NULL)", (segment, NOW))
    path = "a-long-way/" * 9 + "../" * 9 + "ledger.db"
    (tmp_path / ("a-long-way/" * 9)).mkdir(parents=True)
    said = run(tmp_path, "status", f"--ledger={path}")
    assert f"outreach-activation release {segment} --ledger {path}" in said.stdout.splitlines()


@pytest.mark.real
def test_an_empty_ledger_has_nothing_to_tell(tmp_path: Path) -> None:
    with new_ledger(tmp_path):
        pass
    said = run(tmp_path, "status", "--ledger=ledger.db")
    assert said.status == 0
    assert "no job is running" in said.stdout
    assert "Nothing waits." in said.stdout
    assert (
        json.loads(run(tmp_path, "status", "--ledger=ledger.db", "--json").stdout)["errors"] == []
    )


@pytest.mark.real
def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello, this is no database at all")
    for name, why in (("none.db", "there is no ledger at none.db"), ("text.db", "not a ledger")):
        said = run(tmp_path, "status", f"--ledger={name}")
        assert (said.status, said.stdout) == (2, "")
        assert why in said.stderr
    assert run(tmp_path, "status").status == 2


@pytest.mark.real
def test_it_reads_while_another_process_is_in_the_middle_of_a_commit(
    tmp_path: Path, ledger: sqlite3.Connection
) -> None:
    become_members(ledger, [1])
    with transaction(ledger):
        ledger.execute("DELETE FROM known")
        said = run(tmp_path, "status", "--ledger=ledger.db", "--json")
    assert said.status == 0


@pytest.mark.real
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_watching_ends_with_0_on_ctrl_c(tmp_path: Path, flags: list[str]) -> None:
    with new_ledger(tmp_path) as ledger:
        become_members(ledger, [1])
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command("status", "--ledger=ledger.db", "--watch", *flags),
            cwd=tmp_path,
            env=environment(TERM="xterm", COLUMNS="100", LINES="40"),
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        try:
            awaited(ours, b'"delivered":1' if flags else b"delivered")
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
            os.close(ours)
        assert (process.returncode, stderr) == (0, b"")


def awaited(terminal: int, text: bytes) -> None:
    shown, until = b"", time.monotonic() + 30
    while text not in shown:
        assert time.monotonic() < until, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400 * 3 + 3600, "3 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_delivering_empties_what_is_told(ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(1, "realized")])
    deliver(ledger)
    found = read_snapshot(ledger, SECONDS)
    assert (found.changes, found.oldest_at, list(found.waiting)) == (0, None, [])


@pytest.mark.real
@pytest.mark.parametrize("words", [("status",), ("explain", "1"), ("forget", "1")])
def test_a_damaged_ledger_is_told_in_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    with new_ledger(tmp_path) as connection:
        arrive(connection, [member(each, "realized") for each in range(1, 2_000)])
    (path,) = tmp_path.glob("*.db")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    ended = run(tmp_path, *words, f"--ledger={path.name}")

    assert ended.status in (1, 2)
    assert "Traceback" not in ended.stderr
    assert "ledger" in ended.stderr
