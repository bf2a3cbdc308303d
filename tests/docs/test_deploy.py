"""What `deploy/` says is what the program takes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline.commands.run import run_command
from pipeline.monitoring.health import TURN_SECONDS
from pipeline.monitoring.http_server import serving
from tests.pipeline.monitoring.test_metrics import Job
from tests.support.in_process.ledgers import new_ledger
from tests.support.processes.program import ROOT

pytestmark = pytest.mark.real

UNIT = ROOT / "deploy" / "outreach-activation.service"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
README = ROOT / "deploy" / "README.md"
PORT = "9464"


def command_of(text: str) -> list[str]:
    """The words of the first `… outreach-activation run …` of a text, over its broken lines."""
    joined = text.replace("\\\n", " ")
    (line,) = re.findall(r"outreach-activation run +(--.*)", joined)
    return shlex.split(line)


@pytest.mark.parametrize("text", [UNIT.read_text(), README.read_text()], ids=["unit", "readme"])
def test_the_commands_are_those_of_the_program(text: str) -> None:
    words = command_of(text)
    known = {
        spelling
        for parameter in run_command.params
        if isinstance(parameter, click.Option)
        for spelling in parameter.opts
    }
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert set(flags) <= known
    required = {each.opts[0] for each in run_command.params if each.required}
    assert required <= set(flags)
    assert PORT in {word.removeprefix("--metrics_port=") for word in words}


def test_the_image_is_healthy_while_the_job_is(tmp_path: Path) -> None:
    (line,) = re.findall(r"HEALTHCHECK.*\n +CMD (\[.*\])", DOCKERFILE.read_text())
    check = [sys.executable, *json.loads(line)[1:]]
    job = Job()
    with (
        new_ledger(tmp_path),
        serving("127.0.0.1", 0, str(tmp_path / "ledger.db"), job.health) as url,
    ):
        here = [word.replace(f"http://127.0.0.1:{PORT}", url) for word in check]
        assert here != check
        assert subprocess.run(here, check=False).returncode == 0
        job.now += TURN_SECONDS + 1
        assert subprocess.run(here, check=False, capture_output=True).returncode == 1


def test_the_image_holds_all_that_is_installed() -> None:
    text = DOCKERFILE.read_text()
    sources = {
        word.split("/")[0]
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE)
        for word in line.split()
    }
    assert {"setup.py", "pyproject.toml", "README.md", "pipeline", "transforms"} == sources
    assert all((ROOT / source).exists() for source in sources)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(
        UNIT.read_text().replace("/opt/outreach-activation/bin/outreach-activation", sys.executable)
    )
    said = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
