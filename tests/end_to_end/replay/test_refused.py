"""What is refused: a credential, a command line, a missing variable; no token is written."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.data.three_audiences import NUMBERS, line, values
from tests.support.processes.program import (
    TOKEN,
    environment,
    replay,
    run,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real


def test_a_refused_credential_sends_nothing_and_says_what_mends_it(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=9, tokens={"another": "ops"})) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 10)])
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = replay(tmp_path, "in.jsonl")

        assert ended.status == 2
        assert "OUTREACH_TOKEN" in ended.stderr
        assert ended.stdout == ""
        assert ended.dead_letters == []
        assert values(sandbox) == {}


def test_a_paused_user_does_not_stop_the_others(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "good"})) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 41)])
        write_destination(
            tmp_path,
            sandbox.url,
            NUMBERS,
            users=[
                {"name": name, "auth": {"type": "bearer", "token_env": f"OUTREACH_{name}"}}
                for name in ("good", "bad")
            ],
        )

        ended = run(
            tmp_path, "replay", "in.jsonl", "--destination=destination.yaml",
            "--dead_letters=dead_letters.jsonl",
            variables=environment(OUTREACH_good="good", OUTREACH_bad="bad"),
        )  # fmt: skip

        assert ended.status == 1
        assert "OUTREACH_bad" in ended.stderr
        assert ended.dead_letters == []
        assert 0 < len(values(sandbox)) < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["in.jsonl", "--recipts=x"], "receipts"),
        (["in.jsonl", "--destination=absent.yaml"], "absent.yaml"),
        (["in.jsonl", "--receipts=in.jsonl"], "are the same file"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, arguments: list[str], said: str
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = run(tmp_path, "replay", "--destination=destination.yaml", *arguments)

    assert ended.status == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sandbox.requests() == []
    assert (tmp_path / "in.jsonl").read_text() == line(1) + "\n"


def test_a_missing_variable_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, sandbox.url, NUMBERS)
    variables = environment()
    del variables["OUTREACH_TOKEN"]

    ended = run(
        tmp_path, "replay", "in.jsonl", "--destination=destination.yaml", variables=variables
    )

    assert ended.status == 2
    assert "OUTREACH_TOKEN" in ended.stderr
    assert "destination.yaml:" in ended.stderr
    assert sandbox.requests() == []


def test_no_token_is_ever_written(sandbox: Sandbox, tmp_path: Path) -> None:
    lines = [line(prospect) for prospect in random.Random(1).sample(range(1, 99), 50)]
    write_lines(tmp_path / "in.jsonl", [*lines, "{broken"])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "in.jsonl")

    written = (tmp_path / "receipts.jsonl").read_text()
    written += (tmp_path / "dead_letters.jsonl").read_text()
    assert ended.dead_letters
    assert TOKEN not in ended.stdout + ended.stderr + written
