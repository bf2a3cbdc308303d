"""The page about `connect` says its flags and sentences, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.commands.connect import connect_command, oauth_of
from pipeline.commands.validate import validate_command
from pipeline.destination.file import load_destination
from tests.pipeline.commands.connect.connecting import variables
from tests.support.processes.program import ROOT

pytestmark = pytest.mark.real


def test_each_flag_and_each_sentence_of_the_page_is_the_programs() -> None:
    page = (ROOT / "docs" / "connecting.md").read_text("utf-8")
    known = {
        spelling
        for parameter in (*connect_command.params, *validate_command.params)
        for spelling in parameter.opts
    }
    assert set(re.findall(r"--[a-z_]+", page)) - known == set()
    sources = "".join(
        " ".join((ROOT / name).read_text("utf-8").split()).replace('" f"', "").replace('" "', "")
        for name in (
            "pipeline/oauth_flow/request.py",
            "pipeline/oauth_flow/callback.py",
            "pipeline/oauth_flow/flow.py",
            "pipeline/preflight/api_probe.py",
            "transforms/outreach/auth/oauth.py",
            "transforms/outreach/auth/token_request.py",
        )
    )
    table = page.partition("\n## When it does not work\n")[2]
    said = re.findall(r"^\| (?!it says|-)([^|]+) \|", table, re.MULTILINE)
    assert len(said) == 9
    assert [
        each for each in said if each.replace("prospects.write", "{self._write}") not in sources
    ] == []


def test_the_example_of_the_page_can_be_connected(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "connecting.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "destination.yaml"
    path.write_text(example, encoding="utf-8")
    settings = oauth_of(load_destination(str(path)), "ops", variables())
    assert settings.redirect_uri == "http://localhost:8910/callback"
