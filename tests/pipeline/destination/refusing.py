"""A destination file that is good, to be spoiled, and what is then said about it."""

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from transforms.errors import ConfigurationError

GOOD = """\
name: Enterprise audiences
users:
  - name: ops
    auth: {type: bearer, token_env: OUTREACH_TOKEN}
    budget:
      requests: 10000
      reserve: 500
audiences:
  - segment: aaaa-1111
    name: Enterprise intent
    mapping_id: 4
    values:
      realized: In
attributes:
  - source: person.name.firstName
    target: firstName
outreach:
  base_url: https://api.outreach.io
"""
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"  # gitleaks:allow - of no key


def refusals(folder: Path, text: str) -> list[str]:
    """What is said about `text`, without the file's name before each line's number."""
    path = folder / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_destination(str(path))
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


AUDIENCE = "values:\n      realized: In\n"
USER = "      reserve: 500\n"


def assert_refused(folder: Path, text: str, said: str) -> None:
    """Asserts that `text` is refused by a line that begins with `said`, and for nothing else."""
    lines = refusals(folder, text)
    assert [line for line in lines if line.startswith(said)], lines
    # Where a key is misspelled, the right one is missing too.
    others = [line for line in lines if not line.startswith(said)]
    assert all("required and missing" in line for line in others), lines
