"""What a local run shows while it works."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.console.progress import Board
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.data.three_audiences import NUMBERS, line
from tests.support.processes.program import command, environment, write_destination, write_lines
from transforms.clock import steady
from transforms.errors import CredentialError
from transforms.outreach.delivery import UserProgress


def standing(
    *,
    user: str = "ops",
    waiting: int = 0,
    ended: int = 0,
    waits_for: str = "",
    paused: CredentialError | None = None,
) -> UserProgress:
    return UserProgress(
        user=user,
        waiting=waiting,
        troubled=0,
        in_flight=0,
        ended=ended,
        requests=0,
        throttled=0,
        throttled_seconds=0.0,
        available=4_812,
        allowance=9_500,
        resumes_at=steady() + 3_600 if waits_for else None,
        waits_for=waits_for,
        paused=paused,
    )


def test_the_board_says_what_is_waited_for_and_until_when() -> None:
    board = Board()
    board.tell([standing(waiting=5, waits_for="budget")])

    said = board.describe()

    assert re.fullmatch(r"budget: 4,812 of 9,500 left, next at \d\d:\d\d", said)


def test_the_board_says_what_trouble_there_is_since_when_and_when_it_gives_up() -> None:
    board = Board()
    met = replace(
        standing(waiting=2, waits_for="no connection to api.example.com"),
        troubled_since=steady() - 600,
        gives_up_at=steady() + 86_400 - 600,
    )
    board.tell([met])

    assert re.fullmatch(
        r"no connection to api\.example\.com since \d\d:\d\d; again at \d\d:\d\d;"
        r" gives up \d{4}-\d\d-\d\d \d\d:\d\d",
        board.describe(),
    )


def test_the_board_tells_several_users_apart() -> None:
    board = Board()
    board.tell([standing(user="ops"), standing(user="eve", waits_for="HTTP 503")])

    assert board.describe().startswith("ops: budget: 4,812 of 9,500 left · eve: HTTP 503; again at")


def test_the_board_counts_over_several_deliveries_and_what_waits_beyond_them() -> None:
    board = Board()
    board.begin({"ops": 90})
    board.tell([standing(waiting=4, ended=6)])
    assert board.prospects == (6, 100)

    board.begin({"ops": 80})
    board.tell([standing(waiting=14, ended=0)])

    assert board.prospects == (6, 100)


def test_the_board_names_what_mends_a_paused_user() -> None:
    board = Board()
    board.tell([standing(paused=CredentialError("ops", "refused", "set OUTREACH_TOKEN anew"))])

    assert board.problems == ["user 'ops': refused; set OUTREACH_TOKEN anew"]


@pytest.mark.real
def test_a_terminal_sees_a_bar_that_says_it_waits_for_the_budget(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=60, limit=40, hour=2.0)
    with running_sandbox(options) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 61)])
        terms = {"requests": 40, "per_seconds": 2.0, "reserve": 0}
        write_destination(tmp_path, sandbox.url, NUMBERS, budget=terms)
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                command("replay", "in.jsonl", "--destination=destination.yaml"),
                cwd=tmp_path,
                env=environment(TERM="xterm-256color", COLUMNS="140"),
                stdout=subprocess.PIPE,
                stderr=theirs,
            )
            os.close(theirs)
            shown = b""
            while chunk := _read(ours):
                shown += chunk
            stdout, _ = process.communicate(timeout=30)
        finally:
            os.close(ours)

    assert process.returncode == 0
    assert re.search(rb"budget: \d+ of 40 left, next at", shown)
    assert stdout.count(b"\n") == 1


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # The other end was closed.
        return b""
