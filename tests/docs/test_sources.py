"""Each curl line of the guides is answered as its page says, by a door with the page's source."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.in_process.door import open_door
from tests.support.processes.program import ROOT

PAGES = sorted((ROOT / "docs" / "sources").glob("*.md"))
SEGMENT = "5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"
BASE = f"""name: guide
users: [{{name: ops, auth: {{type: bearer, token_env: OUTREACH_TOKEN}}}}]
audiences:
  - {{segment: {SEGMENT}, mapping_id: 4}}
  - {{segment: vip, mapping_id: 5}}
"""


def fenced(page: Path, kind: str) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def source_of(page: Path) -> str:
    """The page's part of a destination file that names its source."""
    (text,) = fenced(page, "yaml")
    return text[text.index("sources:") :].partition("audiences:")[0]


@pytest.mark.real
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_line_is_answered_as_the_page_says(page: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        assert not os.environ.get("REQUIRE_REAL"), "curl and openssl are needed"
        pytest.skip("needs curl and openssl: apt-get install curl openssl")
    source = source_of(page)
    (tmp_path / "destination.yaml").write_text(BASE + source, encoding="utf-8")
    variables = dict.fromkeys(re.findall(r"(?<=_env: )\w+", source), "s3cret value")
    lines, answers = fenced(page, "sh curl"), fenced(page, "json answer")
    assert len(lines) == len(answers) >= 1
    with open_door(tmp_path, environ={**variables, "OUTREACH_TOKEN": "t"}) as door:
        for line, answer in zip(lines, answers, strict=True):
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line],
                env={**os.environ, **variables, "DOOR": door.url},
                capture_output=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr.decode()
            assert json.loads(ended.stdout) == json.loads(answer), page.name
        assert len(door.inbox()) == len(lines)


def test_each_platform_has_its_page_and_each_page_is_linked() -> None:
    names = {page.name for page in PAGES} - {"README.md"}
    linked = set(re.findall(r"\((\S+\.md)\)", (ROOT / "docs/sources/README.md").read_text("utf-8")))
    assert names <= linked
    for page in PAGES:
        assert YAML(typ="safe").load(source_of(page))["sources"]
