"""The job as Dataflow gets it: DataflowRunner submits it to a server that keeps what it is sent.

All that the runner and its client check before they submit a job is passed. What the service
checks, and how the job does there, only a real project can show (`docs/dataflow.md`).
"""

from __future__ import annotations

import json
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow import DataflowRunner
from apache_beam.runners.pipeline_context import PipelineContext

from pipeline.jobs.streaming import Streaming, options_of
from tests.support.beam.job_graph import (
    SUBSCRIPTION,
    TOKEN,
    Pipeline,
    Sent,
    graph_on,
    launch,
    launcher_flags,
    par_dos,
    steps,
    timers,
    unpacked,
)
from tests.support.servers.dataflow_service import JOB_ID, JOBS
from tests.support.servers.secret_manager import PATH
from transforms.coders import ElementCoder
from transforms.stages.parse import parse

pytestmark = pytest.mark.real
JOB_BYTES = 10_000_000
"""What Dataflow takes of a job's description (its quotas page)."""
OWN_ENDS = ("Read/", "/WriteToPubSub", "/Single", "/Publish")
"""Parts of the names of steps that are another runner's, too, but not of the same name."""
READS = "Read/ReadFromPubSub/Map(_from_proto_str)"
"""Beam's own step, of messages that a coder pickles; none of them leaves the stage it is in."""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return launch(tmp_path_factory.mktemp("dataflow"))


@pytest.fixture(scope="module")
def graph(sent: Sent) -> Pipeline:
    return sent.pipeline


def test_the_job_is_handed_over_and_nobody_waits_for_its_end(sent: Sent) -> None:
    assert sent.status == 0
    assert sent.output == (
        f"started job {JOB_ID}; it goes on without this process, and is drained by its runner's"
        " own command\n"
    )
    assert sent.service.asked == [f"POST {JOBS}"]


def test_it_is_a_streaming_job_of_the_streaming_engine_whose_workers_have_the_image(
    sent: Sent,
) -> None:
    environment = sent.job["environment"]
    assert sent.job["type"] in (2, "JOB_TYPE_STREAMING")
    assert {"enable_streaming_engine", "use_runner_v2"} <= set(environment["experiments"])
    options = environment["sdkPipelineOptions"]["options"]
    assert options["streaming"] is True
    assert options["save_main_session"] is False
    (pool,) = environment["workerPools"]
    assert pool["workerHarnessContainerImage"] == options["sdk_container_image"]


@pytest.mark.parametrize(
    ("more", "wrong"),
    [((), ""), (("--job_name=Not_a_name",), "job_name"), (("--project=Not a project",), "project")],
)
def test_beam_finds_nothing_wrong_with_the_options_of_a_launch(
    more: tuple[str, ...], wrong: str
) -> None:
    flags = [*launcher_flags("gs://my-bucket/staging/job_object"), *more]
    # Beam's own switch, without which it would look at the bucket.
    asked = Streaming(subscription=SUBSCRIPTION, beam_flags=[*flags, "--dry_run=True"])
    errors = PipelineOptionsValidator(options_of(asked), DataflowRunner()).validate()
    assert len(errors) == len(more)
    assert all(wrong in error for error in errors)


def test_no_two_steps_have_one_name(graph: Pipeline) -> None:
    names = steps(graph)
    assert len(names) == len(set(names)) > 50


def test_the_steps_are_those_of_other_runners_but_for_the_ends(
    graph: Pipeline, tmp_path: Path
) -> None:
    def inner(pipeline: Pipeline) -> list[str]:
        return [name for name in steps(pipeline) if not any(end in name for end in OWN_ENDS)]

    others = inner(graph_on("FlinkRunner", tmp_path))
    assert inner(graph) == others
    assert {"Coalesce/Hold", "Patch/Pace"} <= set(others)


def test_what_travels_is_written_as_rows_and_never_pickled(graph: Pipeline) -> None:
    context = PipelineContext(graph.components)
    seen = set()
    for collection in graph.components.pcollections.values():
        coder = coders.Coder.from_runner_api(graph.components.coders[collection.coder_id], context)
        if READS in collection.unique_name:
            continue
        seen |= {type(each) for each in atoms(coder)}
    assert seen == {ElementCoder, coders.BytesCoder, coders.StrUtf8Coder}


def test_what_is_kept_is_written_as_rows_and_never_pickled(graph: Pipeline) -> None:
    context = PipelineContext(graph.components)
    kept = [
        coders.Coder.from_runner_api(graph.components.coders[coder_id], context)
        for _, payload in par_dos(graph)
        for spec in payload.state_specs.values()
        for coder_id in (spec.bag_spec.element_coder_id, spec.read_modify_write_spec.coder_id)
        if coder_id
    ]
    assert len(kept) == 14
    assert {type(each) for coder in kept for each in atoms(coder)} == {
        ElementCoder,
        coders.BytesCoder,
        coders.StrUtf8Coder,
        coders.VarIntCoder,
        coders.FloatCoder,
    }


def atoms(coder: Any) -> Iterator[Any]:
    """The coders of which a coder is made; rows are one each."""
    if isinstance(coder, coders.TupleCoder):
        for part in coder.coders():
            yield from atoms(part)
    elif isinstance(coder, coders.ListCoder):
        yield from atoms(coder._elem_coder)
    else:
        yield coder


def test_state_is_kept_by_keys_that_are_texts(graph: Pipeline) -> None:
    keyed = [
        (step.unique_name, graph.components.pcollections[input_of(step)].coder_id)
        for step, payload in par_dos(graph)
        if payload.state_specs
    ]
    assert {name for name, _ in keyed} == {"Coalesce/Hold/ParDo(HoldDoFn)", "Patch/Pace"}
    for _, coder_id in keyed:
        pair = graph.components.coders[coder_id]
        assert pair.spec.urn == "beam:coder:kv:v1"
        key = graph.components.coders[pair.component_coder_ids[0]]
        assert key.spec.urn == "beam:coder:string_utf8:v1"


def input_of(step: Any) -> str:
    (collection,) = step.inputs.values()
    return str(collection)


def test_what_waits_has_a_timer_of_each_kind(graph: Pipeline) -> None:
    domains = {
        step.unique_name: set(timers(payload).values())
        for step, payload in par_dos(graph)
        if payload.state_specs
    }
    assert set(map(frozenset, domains.values())) == {frozenset({"PROCESSING_TIME", "EVENT_TIME"})}


def test_no_code_travels_but_names_of_what_the_workers_have(graph: Pipeline) -> None:
    carrying = {
        step.unique_name for step, payload in par_dos(graph) if carries_code(payload.do_fn.payload)
    }
    assert carrying == {READS}  # Beam's own


def carries_code(payload: bytes) -> bool:
    """Whether a pickle holds a function or a class itself, rather than its name."""
    makers = {"_make_function", "_make_skeleton_class", "_builtin_type", "_make_empty_cell"}
    return any(
        isinstance(argument, str) and argument.rpartition(" ")[2] in makers
        for _, argument, _ in pickletools.genops(unpacked(payload))
    )


def test_a_step_that_carries_code_would_be_found() -> None:
    from apache_beam.internal import pickler  # noqa: PLC0415 - the one that Beam uses

    assert carries_code(pickler.dumps(lambda: None))
    assert not carries_code(pickler.dumps(parse))


def test_the_job_is_far_smaller_than_dataflow_takes_and_hardly_grows_with_audiences(
    sent: Sent, tmp_path: Path
) -> None:
    large = launch(tmp_path, audiences=150)
    for launched in (sent, large):
        assert len(json.dumps(launched.job)) < JOB_BYTES / 100
        assert len(launched.pipeline.SerializeToString()) < JOB_BYTES / 50
    grown = len(large.pipeline.SerializeToString()) - len(sent.pipeline.SerializeToString())
    assert 0 < grown < 147 * 200


def test_the_secret_is_nowhere_in_what_is_sent_or_said(sent: Sent) -> None:
    graph = sent.pipeline
    pickles = [unpacked(payload.do_fn.payload) for _, payload in par_dos(graph)]
    pickles += [unpacked(coder.spec.payload) for coder in graph.components.coders.values()]
    staged = [path.read_bytes() for path in sent.folder.iterdir()]
    everything = b"\n".join(
        [*pickles, *staged, json.dumps(sent.job).encode(), sent.output.encode()]
    )
    assert PATH.encode() in everything
    assert TOKEN.encode() not in everything
