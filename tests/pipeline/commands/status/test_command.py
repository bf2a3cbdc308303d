"""`status` as its user runs it: for people, as JSON, watched, and of ledgers that are none."""

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

from pipeline.console.formatting import duration
from pipeline.ledger import history, users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import Message, receive
from pipeline.ledger.store import transaction
from tests.docs.test_docs import quoted, rows
from tests.support.in_process.ledgers import (
    NOW,
    arrive,
    become_members,
    member,
    new_ledger,
    spend,
)
from tests.support.processes.program import ROOT, command, environment, run
from transforms.elements import REJECTED, Outcome

WHOLE = ("totals", "last_hour", "audiences[].outcomes", "audiences[].freshness")
"""Objects that the page explains in one row."""


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
