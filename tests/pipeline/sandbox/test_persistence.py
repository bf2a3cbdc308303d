from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from tests.support.processes.program import ROOT
from tests.support.servers.sandbox_client import ask, patch
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real

COMMAND = [sys.executable, "-c", "from pipeline.commands.sandbox import sandbox_command as s; s()"]


def _start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate(timeout=10)
    return process.returncode, told


def test_records_outlive_a_sandbox_that_was_told_to_keep_them(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=3, data=tmp_path / "data.jsonl")
    with running_sandbox(options) as sandbox:
        patch(sandbox, 1, custom4="realized")
        patch(sandbox, 1, custom4="exited", custom5="x")
        patch(sandbox, 1, custom5=None)
        ask(sandbox, "DELETE", "/api/v2/prospects/3")
        sandbox.seed({7: {"name": "Acme"}}, "account")
        sandbox.seed({9: {"custom4": None}})
    with running_sandbox(options) as sandbox:
        assert sandbox.prospects() == {1: {"custom4": "exited"}, 2: {}, 9: {}}
        assert sandbox.accounts() == {7: {"name": "Acme"}}


def test_a_sandbox_that_is_killed_has_kept_what_it_answered(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    process, url = _start("--data", str(data), "--prospects", "1")
    assert patch(url, 1, custom4="realized").status == 200
    process.kill()
    _end(process)
    with data.open("ab") as file:
        file.write(b'{"type":"prospect","id":1,"attri')
    with running_sandbox(SandboxOptions(data=data)) as sandbox:
        assert sandbox.prospects() == {1: {"custom4": "realized"}}


def test_the_kept_file_does_not_grow_from_start_to_start(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=1, data=tmp_path / "data.jsonl")
    with running_sandbox(options) as sandbox:
        for turn in range(50):
            patch(sandbox, 1, custom1=str(turn))
    for _ in range(2):
        with running_sandbox(options):
            pass
    assert (tmp_path / "data.jsonl").read_bytes().count(b"\n") == 1


def test_a_sandbox_starts_from_a_file_of_prospects(tmp_path: Path) -> None:
    given = tmp_path / "prospects.jsonl"
    given.write_text('{"id": 2}\n\n{"id": 9, "attributes": {"custom4": "existing"}}\n')
    with running_sandbox(SandboxOptions(prospects=2, prospects_from=given)) as sandbox:
        assert sandbox.prospects() == {1: {}, 2: {}, 9: {"custom4": "existing"}}


@pytest.mark.parametrize(
    "line", ['{"id": "9"}', '{"id": 0}', '{"id": 9, "attributes": {"custom151": "x"}}', "{", "[]"]
)
def test_a_file_that_holds_something_else_is_refused_by_line(tmp_path: Path, line: str) -> None:
    given = tmp_path / "prospects.jsonl"
    given.write_text(f'{{"id": 2}}\n{line}\n')
    with (
        pytest.raises(ConfigurationError, match=r"prospects\.jsonl:2: "),
        running_sandbox(SandboxOptions(prospects_from=given)),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_url_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    process, url = _start("--port", "0", "--limit", "5", "--hour", "60")
    assert url.startswith("http://127.0.0.1:")
    os.kill(process.pid, number)
    status, told = _end(process)
    assert (status, told) == (0, f"Outreach sandbox: {url} (Ctrl-C stops it)\n")


def test_the_command_ends_with_its_parent_if_so_asked() -> None:
    process, _ = _start("--with-parent")
    pipe: IO[str] | None = process.stdin
    assert pipe is not None
    pipe.close()
    process.stdin = None
    assert _end(process)[0] == 0


def test_a_port_that_is_taken_is_said_and_is_1() -> None:
    with running_sandbox() as sandbox:
        port = sandbox.url.rpartition(":")[2]
        with pytest.raises(OSError, match=port), running_sandbox(SandboxOptions(port=int(port))):
            pass
        process, _ = _start("--port", port)
        status, told = _end(process)
        assert status == 1
        assert port in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--field", "custom4:type=colour"], "colour"),
        (["--token", "ops"], "NAME=TOKEN"),
        (["--prospects_from", "README.md"], "README.md:1"),
        (["--colour", "blue"], "colour"),
    ],
)
def test_a_wrong_flag_is_2_and_says_why(arguments: Sequence[str], complaint: str) -> None:
    process, _ = _start(*arguments)
    status, told = _end(process)
    assert status == 2
    assert complaint in told
