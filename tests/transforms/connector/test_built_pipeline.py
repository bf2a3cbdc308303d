"""What a runner is told: names of steps, types between them, settings, and no secret."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.coders.coder_impl import FastPrimitivesCoderImpl
from apache_beam.pipeline import PipelineVisitor
from apache_beam.transforms.display import DisplayData

from pipeline.beam import write_to_outreach
from tests.support.data.three_audiences import NUMBERS
from tests.support.processes.program import write_destination
from tests.transforms.connector.writing import (
    AUDIENCES,
    OPS,
    PLAN,
    SECRET,
)
from transforms import (
    Access,
    Attribute,
    Audience,
    BearerAuth,
    BudgetTerms,
    CoalesceChanges,
    Delivery,
    MapToFields,
    ParseAudienceChanges,
    PatchProspects,
    WriteToOutreach,
)
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real


class Types(PipelineVisitor):
    """What flows between the steps under a label."""

    def __init__(self, label: str) -> None:
        self.found: dict[str, object] = {}
        self._label = f"{label}/"

    def visit_transform(self, transform_node: Any) -> None:
        # Beam's own Reshuffle and the step that only fails keep what they hold to themselves.
        name = transform_node.full_label.removeprefix(self._label)
        if name == transform_node.full_label or name.startswith(("Apart/", "Fail")):
            return
        for tag, output in transform_node.outputs.items():
            self.found[f"{name}.{tag}"] = output.element_type


@pytest.mark.parametrize("streaming", [False, True])
def test_nothing_between_the_steps_is_pickled(streaming: bool) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    given = pipeline | beam.Create([b"x"])
    if streaming:
        given.is_bounded = False
    given | "Write" >> WriteToOutreach(users=[OPS], audiences=AUDIENCES)
    types = Types("Write")
    pipeline.visit(types)

    assert len(types.found) > 12
    for name, element_type in types.found.items():
        coder = coders.registry.get_coder(element_type)
        parts = [coder, *coder._get_component_coders()]
        for part in parts:
            assert not isinstance(part.get_impl(), FastPrimitivesCoderImpl), name


def test_the_steps_keep_the_names_by_which_a_running_pipeline_is_updated() -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    given = pipeline | beam.Create([b"x"])
    given.is_bounded = False
    given | "Write" >> WriteToOutreach(users=[OPS], audiences=AUDIENCES)
    types = Types("Write")
    pipeline.visit(types)

    assert {name.rpartition(".")[0] for name in types.found} == {
        "Take/ParDo(TakeDoFn)",
        "Map/ParDo(MapDoFn)/ParDo(MapDoFn)",
        "Coalesce/ByProspect",
        "Coalesce/Hold/ParDo(HoldDoFn)",
        "Patch/ByUser",
        "Patch/Pace",
        "Outcomes",
        "Receipts/Issue/ParDo(IssueDoFn)",
        "DeadLetters",
    }


def test_runners_are_shown_what_goes_where_and_no_secret() -> None:
    users = [OPS, Access("sales", BearerAuth("SALES_TOKEN"))]
    audiences = [Audience.of("seg", 4, name="Enterprise")]
    attributes = [Attribute("jobTitle", "title")]
    stage = WriteToOutreach(users=users, audiences=audiences, attributes=attributes)

    shown = {item.key: item.value for item in DisplayData.create_from(stage).items}

    assert shown == {
        "base_url": "https://api.outreach.io",
        "fields": "Enterprise → custom4, jobTitle → title",
        "hold_seconds": 5.0,
        "identity": "Oid",
        "in_flight": 16,
        "remember_seconds": 2592000.0,
        "users": "ops, sales",
    }
    pipeline = beam.Pipeline(runner="FnApiRunner")
    pipeline | beam.Create([b"x"]) | stage
    assert SECRET.encode() not in pipeline.to_runner_api().SerializeToString()


@pytest.mark.parametrize(
    ("stage", "keys"),
    [
        (ParseAudienceChanges(["jobTitle"]), {"attributes", "identity"}),
        (MapToFields(PLAN), {"fields", "users"}),
        (CoalesceChanges(), {"hold_seconds", "remember_seconds"}),
        (PatchProspects("https://x.io", [OPS]), {"base_url", "users", "in_flight"}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_stage_shows_how_it_is_set(stage: beam.PTransform, keys: set[str]) -> None:
    assert {item.key for item in DisplayData.create_from(stage).items} == keys


def test_a_destination_file_says_all_that_the_transform_takes(tmp_path: Path) -> None:
    write_destination(
        tmp_path,
        "http://localhost:8080/",
        NUMBERS,
        budget={"requests": 20, "per_seconds": 60, "reserve": 5},
        attributes=[{"source": "jobTitle", "target": "title"}],
        identity={"namespace": "CRM"},
        delivery={"hold_seconds": 2, "in_flight": 8, "remember_days": 3, "give_up_hours": 1},
    )

    found = write_to_outreach(str(tmp_path / "destination.yaml"))

    assert dataclasses.replace(found, users=list(found.users), audiences=list(found.audiences)) == (
        WriteToOutreach(
            users=[dataclasses.replace(OPS, budget=BudgetTerms(20, 60, 5))],
            audiences=[Audience.of(segment, number) for segment, number in NUMBERS.items()],
            attributes=(Attribute("jobTitle", "title"),),
            identity="CRM",
            base_url="http://localhost:8080",
            delivery=Delivery(in_flight=8, give_up_seconds=3600.0),
            hold_seconds=2,
            remember_seconds=3 * 86400.0,
        )
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"object": "account"}, "object: account is not for a pipeline of one's own"),
        ({"identity": {"match": "email"}}, "identity.match: email is not for a pipeline"),
        ({"identity": {"match": "email"}, "mode": "upsert"}, "mode: upsert needs a ledger"),
        ({"delivery": {"bulk": {"mode": "auto"}}}, "bulk actions need a ledger"),
        (
            {"attributes": [{"source": "site", "target": "account_domain"}]},
            "account_domain needs a ledger",
        ),
    ],
    ids=["object", "match", "mode", "bulk", "account_domain"],
)
def test_a_destination_file_that_says_more_than_the_transform_does_is_refused(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    write_destination(tmp_path, "http://localhost:8080/", NUMBERS, **more)

    with pytest.raises(ConfigurationError, match=r"destination\.yaml:") as refused:
        write_to_outreach(str(tmp_path / "destination.yaml"))

    assert said in str(refused.value)
