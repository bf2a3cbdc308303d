"""A replay that is asked to stop: what is in flight is finished, its ledger holds the rest."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.data.three_audiences import NUMBERS, line, values
from tests.support.processes.program import (
    Ended,
    command,
    environment,
    replay,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real

PROSPECTS = 300
WITHOUT_A_LEDGER = """
import sys
from rich.console import Console
from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.jobs.batch import Replay, replay

plan = load_destination("destination.yaml")
asked = Replay(files=["in.jsonl"], receipts="receipts.jsonl", dead_letters="dead_letters.jsonl")
finished = replay(plan, Place.of(plan), asked, Console(stderr=True))
print(__import__("json").dumps(finished.summary))
sys.exit(3 if finished.reasons else 0)
"""


def started(folder: Path, words: list[str], *, given: bytes | None = None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if given is not None:
        assert process.stdin is not None
        process.stdin.write(given.decode())
        process.stdin.close()
        process.stdin = None
    return process


def interrupted(
    folder: Path, words: list[str], number: signal.Signals, *, given: bytes | None = None
) -> Ended:
    """Starts a replay, and signals it when it is well under way."""
    process = started(folder, words, given=given)
    try:
        deadline = time.monotonic() + 60
        # Receipts are written as they happen, so that they tell of the program's progress.
        while not written(folder / "receipts.jsonl", 30):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    return Ended(process.returncode, stdout, stderr, folder)


def written(path: Path, lines: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= lines


def of_a_replay(*files: str) -> list[str]:
    return command(
        "replay",
        *files,
        "--destination=destination.yaml",
        "--receipts=receipts.jsonl",
        "--dead_letters=dead_letters.jsonl",
    )


def go_on(ended: Ended) -> tuple[Ended, Path]:
    """Runs the very command that an interrupted replay names."""
    (told,) = [text for text in ended.stderr.splitlines() if "To go on:" in text]
    words = shlex.split(told.partition("To go on:")[2])
    again = subprocess.run(
        words, cwd=ended.folder, env=environment(), capture_output=True, timeout=60, check=False
    )
    ledger = Path(words[words.index("--ledger") + 1])
    return Ended(
        again.returncode, again.stdout.decode(), again.stderr.decode(), ended.folder
    ), ledger


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_ledger_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(one) for one in range(1, PROSPECTS + 1)])
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = interrupted(tmp_path, of_a_replay("in.jsonl"), number)

        sent = len(values(sandbox))
        assert ended.status == 1
        assert "Traceback" not in ended.stderr
        assert 30 <= sent < PROSPECTS
        assert ended.summary["changes"] == ended.summary["delivered"] == sent
        assert ended.summary["kept"] == PROSPECTS - sent
        assert ended.summary["deferred"] == 0
        assert len(ended.receipts) == sent
        assert ended.dead_letters == []

        again, ledger = go_on(ended)

        assert again.status == 0
        assert len(values(sandbox)) == PROSPECTS
        assert again.summary["delivered"] == PROSPECTS, "the summary is of the whole replay"
        patched = Counter(one.path for one in sandbox.requests() if one.method == "PATCH")
        assert set(patched.values()) == {1}, "what was in flight was finished and is not repeated"
        assert Counter(one["change_id"] for one in again.receipts).most_common(1)[0][1] == 1
        assert len(again.receipts) == PROSPECTS
        shutil.rmtree(ledger.parent)


def test_standard_input_is_kept_with_the_ledger(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        given = "".join(line(one) + "\n" for one in range(1, PROSPECTS + 1)).encode()
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = interrupted(tmp_path, of_a_replay("-"), signal.SIGTERM, given=given)
        again, ledger = go_on(ended)

        assert (ended.status, again.status) == (1, 0)
        assert len(values(sandbox)) == PROSPECTS
        assert len(again.receipts) == PROSPECTS
        shutil.rmtree(ledger.parent)


def test_standard_input_that_comes_again_goes_on_with_a_ledger(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        given = "".join(line(one) + "\n" for one in range(1, PROSPECTS + 1)).encode()
        write_destination(tmp_path, sandbox.url, NUMBERS)
        words = [*of_a_replay("-"), "--ledger=ledger.db"]

        ended = interrupted(tmp_path, words, signal.SIGTERM, given=given)
        again = replay(tmp_path, "-", given=given, more=["--ledger=ledger.db"])

        assert (ended.status, again.status) == (1, 0)
        assert len(values(sandbox)) == PROSPECTS
        assert len(again.receipts) == PROSPECTS


def test_nothing_is_left_behind_by_a_replay_that_ends(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=9)) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(one) for one in range(1, 9)])
        write_destination(tmp_path, sandbox.url, NUMBERS)
        scratch = tmp_path / "scratch"
        scratch.mkdir()

        ended = subprocess.run(
            of_a_replay("in.jsonl"),
            cwd=tmp_path,
            env=environment(TMPDIR=str(scratch)),
            capture_output=True,
            timeout=60,
            check=False,
        )

        assert ended.returncode == 0
        assert [each.name for each in scratch.iterdir() if "outreach" in each.name] == []


def test_a_refused_replay_leaves_nothing_behind(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, "http://127.0.0.1:9", NUMBERS)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    ended = subprocess.run(
        [*of_a_replay("in.jsonl"), "--receipts=in.jsonl"],
        cwd=tmp_path,
        env=environment(TMPDIR=str(scratch)),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert [each.name for each in scratch.iterdir() if "outreach" in each.name] == []


def test_without_a_ledger_what_is_left_becomes_dead_letters_that_finish_the_work(
    tmp_path: Path,
) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(one) for one in range(1, PROSPECTS + 1)])
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = interrupted(tmp_path, [sys.executable, "-c", WITHOUT_A_LEDGER], signal.SIGTERM)

        summary = json.loads(ended.stdout.splitlines()[-1])
        assert ended.status == 3
        assert summary["deferred"] > 0
        assert summary["delivered"] == len(values(sandbox)) > 0
        assert summary["delivered"] + summary["deferred"] == summary["changes"] == PROSPECTS
        assert len(ended.receipts) == PROSPECTS
        assert {one["reason"] for one in ended.dead_letters} == {"deferred"}

        (tmp_path / "dead_letters.jsonl").rename(tmp_path / "rest.jsonl")
        again = replay(tmp_path, "rest.jsonl")

        assert again.status == 0
        assert again.summary["changes"] == summary["deferred"]
        assert len(values(sandbox)) == PROSPECTS
        assert again.dead_letters == []
