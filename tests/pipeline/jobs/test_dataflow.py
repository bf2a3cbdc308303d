"""The job as Dataflow gets it: DataflowRunner submits it to a server that keeps what it is sent.

All that the runner and its client check before they submit a job is passed. What the service
checks, and how the job does there, only a real project can show (`docs/dataflow.md`).
"""

from __future__ import annotations

import json
import pickletools
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow import DataflowRunner
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from google.cloud.pubsub_v1 import types

from pipeline import template
from pipeline.io.pubsub_source import block_of_message
from pipeline.jobs.streaming import Streaming, options_of
from tests.support.beam.job_graph import (
    SUBSCRIPTION,
    TOKEN,
    Pipeline,
    Sent,
    arguments,
    destination_in,
    graph_on,
    launch,
    par_dos,
    secrets,
    steps,
    timers,
    unpacked,
)
from tests.support.servers.dataflow_service import JOB_ID, JOBS, PROJECT, REGION, dataflow_service
from tests.support.servers.secret_manager import PATH
from transforms.coders import ElementCoder
from transforms.elements import Block
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
    assert len(kept) == 10
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


@pytest.mark.parametrize(
    ("auth", "key", "named", "instead"),
    [
        ({"type": "bearer", "token_env": "T"}, "token_env", "T", "token_file"),
        ({"type": "bearer", "token_file": "token"}, "token_file", "{}/token", "token_file"),
        (
            {"type": "oauth", "client_id": "a", "client_secret_env": "S", "token_store": PATH},
            "client_secret_env",
            "S",
            "client_secret_file",
        ),
        (
            {"type": "oauth", "client_id": "a", "client_secret_file": PATH, "token_store": "t"},
            "token_store",
            "{}/t",
            "token_store",
        ),
        (
            {"type": "s2s", "install_id": "i", "issuer": "us", "private_key_file": "k.pem"},
            "private_key_file",
            "{}/k.pem",
            "private_key_file",
        ),
    ],
)
def test_a_credential_that_workers_cannot_reach_is_refused_before_the_job_starts(
    tmp_path: Path, auth: dict[str, str], key: str, named: str, instead: str
) -> None:
    said = launch(tmp_path, users=[{"name": "ops", "auth": auth}])
    assert said.status == 2
    assert f"users[0].auth.{key}: names " in said.output
    assert f"({named.format(tmp_path)})" in said.output
    assert f"write {instead}: projects/PROJECT/secrets/SECRET" in said.output
    assert said.service.asked == []


def test_a_secret_that_is_not_there_is_refused_before_the_job_starts(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token_file": "projects/p/secrets/other"}
    said = launch(tmp_path, users=[{"name": "ops", "auth": auth}])
    assert said.status == 2
    assert "users[0].auth.token_file: the secret cannot be read" in said.output
    assert said.service.asked == []


def test_outputs_that_would_be_lost_are_refused_before_the_job_starts(tmp_path: Path) -> None:
    said = launch(tmp_path, "--receipts=receipts.jsonl")
    assert said.status == 2
    assert "receipts.jsonl would be written by workers on other machines" in said.output
    assert said.service.asked == []


def test_what_dataflow_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = launch(tmp_path, refusing=(403, "the caller lacks a permission"))
    assert said.status == 2
    last = said.output.splitlines()[-1]  # Beam's own log is before it.
    assert last.startswith("refused Dataflow refuses the job: ")
    assert last.endswith("the caller lacks a permission")
    assert "Traceback" not in said.output


def test_a_job_that_runs_already_under_the_name_is_not_started_twice(tmp_path: Path) -> None:
    said = launch(tmp_path, running="activation", taken=True)
    assert said.status == 2
    assert f"already active job named activation with id: {JOB_ID}" in said.output


def test_without_what_dataflow_needs_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam.runners.dataflow.internal.apiclient", None)
    said = launch(tmp_path)
    assert said.status == 2
    assert "install outreach-activation[dataflow]" in said.output


def test_an_update_names_the_job_that_it_replaces_and_the_steps_that_have_other_names(
    tmp_path: Path,
) -> None:
    mapping = {"Coalesce/Hold": "Coalesce/Gather"}
    updating = ("--update", f"--transform_name_mapping={json.dumps(mapping)}")
    said = launch(tmp_path, *updating, running="activation")
    assert said.status == 0, said.output
    assert said.job["replaceJobId"] == JOB_ID
    assert said.job["transformNameMapping"] == mapping


def launcher_flags(job_object: str, staging: str = "gs://my-bucket/staging") -> list[str]:
    """Those that the Flex Template's launcher adds."""
    return [
        "--runner=DataflowRunner",
        f"--project={PROJECT}",
        f"--region={REGION}",
        "--job_name=activation",
        f"--temp_location={staging}",
        f"--staging_location={staging}",
        f"--template_location={job_object}",
        '--labels={"goog-dataflow-provided-template-type": "flex"}',
        "--service_account_email=activation@my-project.iam.gserviceaccount.com",
        "--max_num_workers=2",
    ]


def test_the_templates_launcher_gets_the_job_written_out_and_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    job_object = tmp_path / "job_object"
    given = arguments(destination_in(tmp_path))
    monkeypatch.setenv(template.IMAGE, "europe-docker.pkg.dev/my-project/images/activation:1")
    with dataflow_service() as service, secrets():
        flags = launcher_flags(str(job_object), str(staging))
        endpoint = [f"--dataflow_endpoint=http://localhost:{service.port}", "--no_auth"]
        monkeypatch.setattr(sys, "argv", ["launch.py", *given, *flags, *endpoint])
        with pytest.raises(SystemExit) as ended:
            template.main()
    assert ended.value.code == 0
    assert service.asked == []
    job = json.loads(job_object.read_text())
    assert job["labels"] == {"goog-dataflow-provided-template-type": "flex"}
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["sdk_container_image"] == "europe-docker.pkg.dev/my-project/images/activation:1"
    said = capsys.readouterr()
    assert said.err == "the job is written out, for Dataflow to start it\n"
    assert TOKEN not in job_object.read_text()


def test_the_template_adds_the_runner_and_its_image_unless_others_are_named() -> None:
    given = ["--destination=d", "--project=p"]
    assert template.arguments(given, {}) == [*given, "--runner=DataflowRunner"]
    assert template.arguments(given, {template.IMAGE: "i:1"}) == [
        *given,
        "--runner=DataflowRunner",
        "--sdk_container_image=i:1",
    ]
    named = ["--runner=TestDataflowRunner", "--sdk_container_image=j:2"]
    assert template.arguments(named, {template.IMAGE: "i:1"}) == named


def message(data: bytes, **more: Any) -> PubsubMessage:
    """As Beam's read hands it on."""
    proto = types.PubsubMessage(data=data, **more)
    return PubsubMessage._from_proto_str(types.PubsubMessage.serialize(proto))


def check_blocks(messages: list[tuple[PubsubMessage, float]], expected: list[Block]) -> None:
    """Runs messages with their elements' timestamps through the step that makes blocks."""
    with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        stamped = pipeline | beam.Create(messages) | beam.MapTuple(TimestampedValue)
        blocks = stamped | beam.FlatMap(block_of_message, SUBSCRIPTION).with_output_types(Block)
        assert_that(blocks, equal_to(expected))


def test_a_message_is_a_block_with_its_id_and_the_time_it_was_published() -> None:
    published = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    came = message(b"{}", message_id="17", publish_time=published)
    micros = 1_767_323_045_678_000
    expected = Block(SUBSCRIPTION, 0, [b"{}"], published=micros, message_id="17")
    check_blocks([(came, 5.0)], [expected])


def test_a_message_of_which_dataflow_tells_nothing_has_the_time_of_its_element() -> None:
    check_blocks(
        [(message(b"1"), 5.0), (message(b"2"), 6.5)],
        [
            Block(SUBSCRIPTION, 0, [b"1"], published=5_000_000),
            Block(SUBSCRIPTION, 0, [b"2"], published=6_500_000),
        ],
    )


def test_messages_without_ids_are_told_apart_by_what_they_say() -> None:
    ids = set()
    stamp = Timestamp(5)
    for status in ("realized", "exited"):
        said = {"outreach_id": 7, "segment": "s", "status": status}
        (block,) = block_of_message(message(json.dumps(said).encode()), SUBSCRIPTION, stamp)
        parsed = parse(block, "Oid", (), 0)
        (one,) = parsed.memberships
        ids.add(one.arrival_id)
    assert len(ids) == 2
