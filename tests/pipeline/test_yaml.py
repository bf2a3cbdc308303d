"""Beam YAML: `type: WriteToOutreach` in a pipeline without a line of Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import RowCoder, registry
from apache_beam.yaml.yaml_provider import load_providers, merge_providers
from apache_beam.yaml.yaml_transform import YamlTransform

from pipeline import yaml_provider
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.trace import profile, segments
from tests.support.processes.program import ROOT, environment, json_lines, replay, write_destination

pytestmark = pytest.mark.real

EXAMPLES = ROOT / "examples"
SEGMENTS = segments(2)
NUMBERS = {segment: number for number, segment in enumerate(SEGMENTS, 4)}
PROVIDERS = merge_providers(*load_providers(str(EXAMPLES / "providers.yaml")))
ATTRIBUTES = [{"source": "jobTitle", "target": "title"}]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=20)) as running:
        yield running


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a destination file."""
    write_destination(tmp_path, sandbox.url, NUMBERS, attributes=ATTRIBUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTREACH_TOKEN", "any")
    return tmp_path


def example(name: str, variables: Mapping[str, str], folder: Path) -> None:
    """Runs an example as its user does, from the top of the project."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "apache_beam.yaml.main", "--runner=FnApiRunner"),
            f"--yaml_pipeline_file=examples/{name}",
            f"--jinja_variables={json.dumps(variables)}",
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    for output in ("receipts.jsonl", "dead_letters.jsonl"):
        (shard,) = folder.glob(f"{output}-*")
        shard.rename(folder / output)


def destination_of_examples(folder: Path, sandbox: Sandbox) -> None:
    text = (EXAMPLES / "destination.yaml").read_text("utf-8")
    address = f'outreach: {{base_url: "{sandbox.url}"}}\n\nusers:'
    (folder / "destination.yaml").write_text(text.replace("users:", address, 1), "utf-8")


def delivered(receipts: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """What became of which change, whatever the hour and the spelling of the value."""
    keys = ("change_id", "outreach_id", "segment", "field", "event_time", "outcome", "reason")
    return sorted(tuple(map(str, map(receipt.get, keys))) for receipt in receipts)


def test_the_example_writes_what_a_replay_of_the_same_file_does(tmp_path: Path) -> None:
    options = SandboxOptions(prospects_from=EXAMPLES / "prospects.jsonl")
    with running_sandbox(options) as by_yaml, running_sandbox(options) as by_replay:
        ours, theirs = tmp_path / "yaml", tmp_path / "replay"
        for folder, sandbox in ((ours, by_yaml), (theirs, by_replay)):
            folder.mkdir()
            destination_of_examples(folder, sandbox)
        variables = {"destination": str(ours / "destination.yaml"), "output": f"{ours}/"}
        before = by_yaml.prospects()

        example("pipeline.yaml", variables, ours)
        replayed = replay(theirs, str(EXAMPLES / "changes.jsonl"))

        assert by_yaml.prospects() == by_replay.prospects() != before
        receipts = json_lines(ours / "receipts.jsonl")
        assert len(receipts) == replayed.summary["changes"]
        counts = Counter(receipt["outcome"] for receipt in receipts)
        assert counts == Counter(receipt["outcome"] for receipt in replayed.receipts)
        assert {*map(tuple, receipts)} == {*map(tuple, replayed.receipts)}
        assert all(
            receipt["recorded_at"].endswith("Z") and json.loads(receipt["value"]) != ""
            for receipt in receipts
        )

        letters = json_lines(ours / "dead_letters.jsonl")
        assert [(one["reason"], one["source"]) for one in letters] == [
            (one["reason"], one["source"]) for one in replayed.dead_letters
        ]
        assert {*map(tuple, letters)} == {*map(tuple, replayed.dead_letters)}

        # What it could not write, replay takes up.
        again = replay(theirs, str(ours / "dead_letters.jsonl"))
        assert [(one["reason"], one["payload"]["change_id"]) for one in again.dead_letters] == [
            (one["reason"], one["source"]) for one in letters
        ]


_seen: dict[str, list[Any]] = {}


def see(row: Any, name: str) -> None:
    _seen[name].append(row)


def run_yaml(text: str, *outputs: str) -> dict[str, list[dict[str, Any]]]:
    """Runs a composite of YAML; returns the rows of its outputs."""
    _seen.clear()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        result = pipeline | YamlTransform(text, providers=PROVIDERS)
        for name in outputs:
            _seen[name] = []
            result[name] | f"See {name}" >> beam.Map(see, name)
    return {name: [row._asdict() for row in rows] for name, rows in _seen.items()}


WRITE = """
type: composite
transforms:
  - type: {source}
    name: Given
    config: {config}
  - type: WriteToOutreach
    input: Given
    config:
      destination: destination.yaml
      error_handling: {{output: errors}}
output:
  receipts: WriteToOutreach.receipts
  errors: WriteToOutreach.errors
"""


@pytest.mark.usefixtures("folder")
def test_rows_of_flat_records_are_written_and_refused_ones_are_rows_too(sandbox: Sandbox) -> None:
    rows = [
        {"outreach_id": prospect, "segment": SEGMENTS[0], "status": status, "event_time": time}
        for prospect, status, time in (
            (1, "realized", "2026-01-02T03:04:05Z"),
            (1, "exited", "2026-01-02T03:04:06Z"),
            (99, "realized", "2026-01-02T03:04:05Z"),
            (2, "left", "2026-01-02T03:04:05Z"),
        )
    ]
    text = WRITE.format(source="Create", config=json.dumps({"elements": rows}))

    came = run_yaml(text, "receipts", "errors")

    assert sandbox.prospects()[1] == {"custom4": "exited"}
    assert sorted((row["outreach_id"], row["outcome"]) for row in came["receipts"]) == [
        (1, "delivered"),
        (1, "superseded"),
        (99, "rejected"),
    ]
    unread, refused = sorted(came["errors"], key=lambda row: row["reason"], reverse=True)
    assert json.loads(unread["payload"]) == rows[3]
    assert json.loads(refused["payload"])["outreach_id"] == 99
    assert (unread["http_status"], refused["http_status"]) == (None, 404)


def test_a_csv_file_is_written_by_its_columns(folder: Path, sandbox: Sandbox) -> None:
    lines = ["outreach_id,segment,status,event_time", f"1,{SEGMENTS[0]},realized,1767323045"]
    lines += [f"2,{SEGMENTS[1]},exited,", f",{SEGMENTS[1]},exited,1767323045"]
    (folder / "changes.csv").write_text("\n".join(lines) + "\n", "utf-8")

    came = run_yaml(
        WRITE.format(source="ReadFromCsv", config="{path: changes.csv}"), "receipts", "errors"
    )

    assert sandbox.prospects()[1] == {"custom4": "realized"}
    assert sandbox.prospects()[2] == {"custom5": "exited"}
    assert [row["event_time"] for row in came["receipts"] if row["outreach_id"] == 1] == [
        "2026-01-02T03:04:05Z"
    ]
    assert [row["reason"] for row in came["errors"]] == ["identity_missing"]


def test_parse_gives_rows_of_memberships_attributes_and_errors() -> None:
    moment = "2026-01-02T03:04:05Z"
    elements = [{"line": profile(7, {"seg": ("exited", moment)}, jobTitle="Poet")}, {"line": "no"}]
    came = run_yaml(
        f"""
type: composite
transforms:
  - type: Create
    config: {json.dumps({"elements": elements})}
  - type: ParseAudienceChanges
    input: Create
    config:
      attributes: [jobTitle]
      error_handling: {{output: unread}}
output:
  memberships: ParseAudienceChanges.memberships
  attributes: ParseAudienceChanges.attributes
  unread: ParseAudienceChanges.unread
""",
        *("memberships", "attributes", "unread"),
    )

    assert came["memberships"] == [
        {
            "outreach_id": 7,
            "segment": "seg",
            "namespace": "ups",
            "status": "exited",
            "event_time": moment,
        }
    ]
    assert came["attributes"] == [
        {"outreach_id": 7, "source": "jobTitle", "value": '"Poet"', "event_time": moment}
    ]
    assert [(row["reason"], row["payload"]) for row in came["unread"]] == [("not_json", "no")]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"destination": "destination.yaml"}, "needs error_handling"),
        (
            {"destination": "destination.yaml", "error_handling": {"output": "receipts"}},
            "another kind",
        ),
        ({"destination": "nowhere.yaml", "error_handling": {"output": "e"}}, "no such file"),
        ({"destination": "broken.yaml", "error_handling": {"output": "e"}}, "broken.yaml:1: naem"),
        ({"error_handling": {"output": "e"}}, "destination"),
        ({"destination": "destination.yaml", "budget": 5}, "budget"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_wrong_with_a_configuration_is_said_before_anything_runs(
    config: dict[str, Any], problem: str
) -> None:
    Path("broken.yaml").write_text("naem: x\n", "utf-8")
    errors = config.get("error_handling", {"output": "receipts"})["output"]
    text = f"""
type: composite
transforms:
  - type: Create
    config: {{elements: [{{line: "x"}}]}}
  - type: WriteToOutreach
    input: Create
    config: {json.dumps(config)}
output: {{errors: WriteToOutreach.{errors}}}
"""
    with pytest.raises(ValueError, match=problem):
        beam.Pipeline(runner="FnApiRunner") | YamlTransform(text, providers=PROVIDERS)


@pytest.mark.usefixtures("folder")
def test_dead_letters_that_nothing_takes_are_refused() -> None:
    text = WRITE.format(source="Create", config='{elements: [{line: "x"}]}')
    without = text.replace("  errors: WriteToOutreach.errors\n", "")
    assert without != text
    with pytest.raises(ValueError, match="Unconsumed error output"):
        beam.Pipeline(runner="FnApiRunner") | YamlTransform(without, providers=PROVIDERS)


def test_the_provider_says_what_each_transform_takes() -> None:
    (provider,) = load_providers(str(EXAMPLES / "providers.yaml"))
    assert set(provider.provided_transforms()) == {"WriteToOutreach", "ParseAudienceChanges"}
    assert {
        name: [field.name for field in provider.config_schema(name).fields if field.description]
        for name in provider.provided_transforms()
    } == {
        "WriteToOutreach": ["destination", "error_handling"],
        "ParseAudienceChanges": ["attributes", "identity", "error_handling"],
    }
    for name in provider.provided_transforms():
        assert provider.requires_inputs(name, {})
        assert len(provider.description(name)) > 100


@pytest.mark.parametrize("name", ["ReceiptRow", "DeadLetterRow", "MembershipRow", "AttributeRow"])
def test_its_rows_are_rows_to_every_language_of_beam(name: str) -> None:
    assert type(registry.get_coder(getattr(yaml_provider, name))) is RowCoder
