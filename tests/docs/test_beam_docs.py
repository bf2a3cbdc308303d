"""docs/beam.md: its examples run, and its tables name what there is."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest

import transforms
from pipeline import yaml_provider
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.docs.test_docs import fenced, quoted, rows
from tests.support.processes.program import (
    ROOT,
    environment,
    json_lines,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real

PAGE = ROOT / "docs" / "beam.md"
SEGMENT = "5c8e1f0a"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=5)) as running:
        yield running


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path) -> Path:
    """A folder with all that the examples name."""
    write_destination(tmp_path, sandbox.url, {SEGMENT: 4})
    lines = [
        {"outreach_id": prospect, "segment": SEGMENT, "status": "realized"}
        for prospect in (1, 2, 9)
    ]
    write_lines(tmp_path / "changes.jsonl", list(map(json.dumps, lines)))
    return tmp_path


def run(folder: Path, *command: str) -> None:
    ended = subprocess.run(
        [sys.executable, *command, "--runner=FnApiRunner"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]


def python(number: int, folder: Path, sandbox: Sandbox) -> None:
    """Runs one of the examples in Python, against a sandbox."""
    text = fenced(PAGE, "python")[number]
    (folder / "example.py").write_text(
        text.replace("https://api.outreach.io", sandbox.url), "utf-8"
    )
    run(folder, "example.py")


def test_the_example_with_a_destination_file_writes_and_says_so(
    folder: Path, sandbox: Sandbox
) -> None:
    python(0, folder, sandbox)

    assert sandbox.prospects()[1] == sandbox.prospects()[2] == {"custom4": "realized"}
    receipts = json_lines(folder / "receipts-00000-of-00001.jsonl")
    assert sorted((each["outreach_id"], each["outcome"]) for each in receipts) == [
        (1, "delivered"),
        (2, "delivered"),
        (9, "rejected"),
    ]
    (letter,) = json_lines(folder / "dead_letters-00000-of-00001.jsonl")
    assert letter["payload"]["outreach_id"] == 9


def test_the_example_without_one_writes_and_its_handler_has_the_dead_letter(
    folder: Path, sandbox: Sandbox
) -> None:
    python(1, folder, sandbox)

    assert sandbox.prospects()[1] == {"custom4": "realized"}
    assert sandbox.prospects()[2] == {"title": "Poet"}
    (letter,) = json_lines(folder / "dead_letters.jsonl")
    assert letter["reason"] == "identity_invalid"


def test_the_example_of_a_stage_alone_counts(folder: Path, sandbox: Sandbox) -> None:
    text = fenced(PAGE, "python")[2].replace("beam.Pipeline()", 'beam.Pipeline("FnApiRunner")')
    (folder / "example.py").write_text(text, "utf-8")
    run(folder, "example.py")

    assert (folder / "counts-00000-of-00001").read_text(
        "utf-8"
    ) == f"(('{SEGMENT}', 'realized'), 3)\n"
    assert sandbox.requests() == []


def test_the_example_in_yaml_writes(folder: Path, sandbox: Sandbox) -> None:
    (text,) = fenced(PAGE, "yaml")
    (folder / "pipeline.yaml").write_text(text, "utf-8")
    run(folder, "-m", "apache_beam.yaml.main", "--yaml_pipeline_file=pipeline.yaml")

    assert sandbox.prospects()[2] == {"custom4": "realized"}
    (letter,) = json_lines(folder / "dead_letters.jsonl-00000-of-00001")
    assert letter["reason"] == "not_found"
    assert len(json_lines(folder / "receipts.jsonl-00000-of-00001")) == 3


def test_the_arguments_of_write_to_outreach_are_on_the_page() -> None:
    named = [quoted(row[0])[0] for row in rows(PAGE, "## Without one")[1:]]
    assert named == [field.name for field in dataclasses.fields(transforms.WriteToOutreach)]


def test_every_public_transform_is_on_the_page_with_its_arguments_and_outputs() -> None:
    table = rows(PAGE, "## A stage alone")[1:]
    stages = {
        name
        for name in transforms.__all__
        if inspect.isclass(stage := getattr(transforms, name))
        and issubclass(stage, beam.PTransform)
    }
    named = {quoted(row[0])[0].partition("(")[0] for row in table}
    assert named == stages - {"WriteToOutreach"}
    for call, _, gives in table:
        name, _, arguments = quoted(call)[0].partition("(")
        taken = inspect.signature(getattr(transforms, name)).parameters
        assert {each for each in arguments.rstrip(")").split(", ") if each} <= set(taken)
        result = {"PatchProspects": "PatchResult"}.get(name, f"{name}Result")
        assert quoted(gives) == list(getattr(transforms, result)._fields)


def test_the_outputs_of_write_to_outreach_are_on_the_page() -> None:
    table = rows(PAGE, "## What comes out")[1:]
    assert [quoted(row[0])[0] for row in table] == list(transforms.WriteToOutreachResult._fields)
    assert all(quoted(row[1])[0] in transforms.__all__ for row in table)


def test_the_types_of_yaml_are_on_the_page_with_what_they_take() -> None:
    table = rows(PAGE, "## From Beam YAML")[1:]
    for name, config, _ in table:
        taken = inspect.signature(getattr(yaml_provider, quoted(name)[0])).parameters
        assert set(taken) <= set(quoted(config))
