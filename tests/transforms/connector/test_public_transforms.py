"""What a Beam user takes from `transforms`: each stage alone, and all of them in one.

The pipelines are a user's: they import from `transforms` alone, and write to the sandbox.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.coders.coder_impl import FastPrimitivesCoderImpl
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.pvalue import PCollection
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.display import DisplayData
from apache_beam.transforms.error_handling import CollectingErrorHandler, ErrorHandler
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.typehints.decorators import TypeCheckError

import transforms
from pipeline.beam import write_to_outreach
from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.changes import change
from tests.support.delivering import statuses, values
from tests.support.program import environment, write_destination, write_lines
from tests.support.program import replay as run_replay
from tests.support.streaming import come, flow, stream_time, wait
from tests.support.trace import expected, flat_lines, profile, segments
from transforms import (
    Access,
    Attribute,
    AttributeChange,
    Audience,
    BearerAuth,
    BudgetTerms,
    CoalesceChanges,
    DeadLetter,
    Delivery,
    IssueReceipts,
    MapToFields,
    MembershipChange,
    OutreachUser,
    ParseAudienceChanges,
    PatchProspects,
    Plan,
    WriteToOutreach,
    dead_letter_line,
)
from transforms.errors import ActivationError

pytestmark = pytest.mark.real

SEGMENTS = segments(3)
NUMBERS = {segment: number for number, segment in enumerate(SEGMENTS, 4)}
FIELDS = {segment: f"custom{number}" for segment, number in NUMBERS.items()}
AUDIENCES = [Audience.of(segment, number) for segment, number in NUMBERS.items()]
OPS = Access("ops", BearerAuth("OUTREACH_TOKEN"))
PLAN = Plan("Oid", tuple(AUDIENCES), (Attribute("jobTitle", "title"),), (OutreachUser("ops", 1),))
SECRET = "tok-5d1e9a7c3b"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", SECRET)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running


def record(prospect: object, segment: object = SEGMENTS[0], **more: object) -> dict[str, Any]:
    return {"outreach_id": prospect, "segment": segment, "status": "realized", **more}


class Columns(NamedTuple):
    """A user's own row."""

    outreach_id: int
    segment: str
    status: str
    event_time: str | None = None


_kept: dict[str, list[Any]] = {}


def keep(element: Any, name: str) -> None:
    _kept[name].append(element)


def run(
    elements: beam.PTransform | Sequence[Any], stages: beam.PTransform, *flags: str
) -> dict[str, list[Any]]:
    """Runs stages over elements; returns what came out, by the name of the output."""
    _kept.clear()
    options = PipelineOptions(list(flags) or ["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        source = elements if isinstance(elements, beam.PTransform) else beam.Create(elements)
        result = pipeline | "Given" >> source | "Stages" >> stages
        for name, collection in result._asdict().items():
            _kept[name] = []
            collection | f"Keep {name}" >> beam.Map(keep, name)
    return dict(_kept)


def write(sandbox: Sandbox, **more: Any) -> WriteToOutreach:
    return WriteToOutreach(
        **{"users": [OPS], "audiences": AUDIENCES, "base_url": sandbox.url, **more}
    )


def values_of_fields(sandbox: Sandbox) -> dict[int, dict[str, object]]:
    """What the fields of audiences hold, of prospects of whom one does."""
    found = {
        who: {name: value for name, value in held.items() if name in FIELDS.values()}
        for who, held in sandbox.prospects().items()
    }
    return {who: held for who, held in found.items() if held}


def outcomes(receipts: Iterable[transforms.Receipt]) -> dict[str, int]:
    return dict(Counter(receipt.outcome for receipt in receipts))


def reasons(letters: Iterable[DeadLetter]) -> list[tuple[str, str]]:
    return sorted((letter.stage, letter.reason) for letter in letters)


def test_all_that_is_public_can_be_imported_from_transforms() -> None:
    assert {name for name in transforms.__all__ if getattr(transforms, name).__doc__} == set(
        transforms.__all__
    )
    assert set(transforms.__all__) <= set(dir(transforms))
    with pytest.raises(AttributeError, match="Wrote"):
        _ = transforms.Wrote


def test_what_is_public_is_not_imported_before_it_is_asked_for() -> None:
    script = (
        "import sys, transforms.errors; print('apache_beam' in sys.modules);"
        "from transforms import WriteToOutreach; print('apache_beam' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.decode().split() == ["False", "True"]


def test_a_shuffled_trace_is_written_as_the_oracle_says_with_a_receipt_a_change(
    sandbox: Sandbox,
) -> None:
    lines = list(flat_lines(400, 50, [*SEGMENTS, "nobody's"]))
    # Ties in time are decided by the order of publication, which is an element's timestamp.
    source = beam.Create([TimestampedValue(line, place + 1) for place, line in enumerate(lines)])

    came = run(source, write(sandbox))

    assert values_of_fields(sandbox) == expected(lines, FIELDS)
    assert came["dead_letters"] == []
    mapped = [line for line in lines if json.loads(line)["segment"] in FIELDS]
    assert len(came["receipts"]) == len(mapped)
    assert set(outcomes(came["receipts"])) == {"delivered", "superseded"}
    assert len(sandbox.requests()) <= 50


@pytest.mark.prism
@pytest.mark.timeout(400)  # it may have to build Prism
def test_it_is_written_alike_on_the_runner_that_beam_picks_where_it_can(
    sandbox: Sandbox, prism: list[str]
) -> None:
    lines = list(flat_lines(200, 30, SEGMENTS))
    source = beam.Create(
        [TimestampedValue(line, place + 1) for place, line in enumerate([*lines, "{"])]
    )

    came = run(source | beam.WindowInto(FixedWindows(7)), write(sandbox), *prism)

    assert values_of_fields(sandbox) == expected(lines, FIELDS)
    assert len(came["receipts"]) == len(lines)
    assert reasons(came["dead_letters"]) == [("parse", "not_json")]


def test_every_shape_of_element_is_written_and_each_has_its_receipt(sandbox: Sandbox) -> None:
    flat = json.dumps(record(1))
    given = [
        flat.encode(),
        json.dumps(record(2)),
        record(3),
        beam.Row(**record(4)),
        Columns(5, SEGMENTS[0], "realized"),
        beam.Row(line=json.dumps(record(6))),
        beam.Row(payload=json.dumps(record(7)).encode()),
        profile(8, {SEGMENTS[0]: ("realized", "2026-01-02T03:04:05Z")}),
        json.dumps([record(9), record(10)]),
        MembershipChange("mine", 11, None, SEGMENTS[0], "realized", None, 0),
        record(12.0, attributes={"jobTitle": "Engineer"}),
        record(13, attributes=beam.Row(jobTitle="Poet")),
        AttributeChange("mine", 14, "jobTitle", '"Sailor"', None, 0),
    ]

    came = run(given, write(sandbox, attributes=[Attribute("jobTitle", "title")]))

    assert came["dead_letters"] == []
    assert values(sandbox) == dict.fromkeys(range(1, 14), "realized")
    assert values(sandbox, "title") == {12: "Engineer", 13: "Poet", 14: "Sailor"}
    assert sorted(receipt.outreach_id for receipt in came["receipts"]) == sorted(
        [*range(1, 14), 12, 13, 14]
    )
    assert outcomes(came["receipts"]) == {"delivered": 16}
    (mine,) = [each for each in came["receipts"] if each.outreach_id == 11]
    assert mine.change_id == "mine-11-custom4"


def test_what_cannot_be_read_or_written_is_a_dead_letter_that_can_be_replayed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    given = [
        "{",
        record(0),
        record(61),
        5,
        {"outreach_id": 2**80},
        record(1, status="in"),
    ]

    came = run(given, write(sandbox))

    letters = came["dead_letters"]
    assert reasons(letters) == [
        ("deliver", "not_found"),
        ("parse", "identity_invalid"),
        ("parse", "not_json"),
        ("parse", "status_unknown"),
        ("parse", "unknown_shape"),
        ("parse", "unknown_shape"),
    ]
    assert all(
        letter.source.startswith("element ") for letter in letters if letter.stage == "parse"
    )
    assert outcomes(came["receipts"]) == {"rejected": 1}

    write_lines(tmp_path / "again.jsonl", [dead_letter_line(letter).decode() for letter in letters])
    write_destination(tmp_path, sandbox.url, NUMBERS)
    ended = run_replay(tmp_path, "again.jsonl")
    assert ended.status == 3
    assert reasons([DeadLetter(**each) for each in ended.dead_letters]) == [
        ("deliver", "not_found"),
        ("parse", "identity_invalid"),
        *[("parse", "not_json")] * 2,  # of one only Python's own spelling could be kept
        ("parse", "status_unknown"),
        ("parse", "unknown_shape"),
    ]


def test_a_value_that_its_field_cannot_hold_costs_no_request_and_has_its_receipt(
    sandbox: Sandbox,
) -> None:
    given = [{"outreach_id": 1, "attributes": {"jobTitle": ["Poet", "Sailor"]}}]

    came = run(given, write(sandbox, attributes=[Attribute("jobTitle", "title")]))

    assert outcomes(came["receipts"]) == {"rejected": 1}
    assert reasons(came["dead_letters"]) == [("deliver", "value_invalid")]
    assert sandbox.requests() == []


def test_an_error_handler_takes_the_dead_letters(sandbox: Sandbox) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        with ErrorHandler(beam.Map(reason)) as handler:
            pipeline | beam.Create(["{", record(61)]) | write(sandbox).with_error_handler(handler)
            other = ParseAudienceChanges().with_error_handler(handler)
            pipeline | "Other" >> beam.Create(["[", "3"]) | other
        assert_that(
            handler.output(), equal_to(["not_json", "not_found", "not_json", "unknown_shape"])
        )


def reason(letter: DeadLetter) -> str:
    return letter.reason


def test_without_an_error_handler_none_is_waited_for(sandbox: Sandbox) -> None:
    handler = CollectingErrorHandler()
    assert write(sandbox, error_handler=handler).with_error_handler(None).error_handler is None
    assert ParseAudienceChanges(error_handler=handler).with_error_handler(None) == (
        ParseAudienceChanges()
    )


def test_changes_in_different_windows_meet_and_the_newest_wins(sandbox: Sandbox) -> None:
    given = [
        TimestampedValue(record(1, status=status, event_time=time), time)
        for status, time in (("exited", 1_700_000_300), ("realized", 1_700_000_000))
    ]

    came = run(beam.Create(given) | beam.WindowInto(FixedWindows(60)), write(sandbox))

    assert values(sandbox) == {1: "exited"}
    assert statuses(sandbox) == [200]
    assert outcomes(came["receipts"]) == {"delivered": 1, "superseded": 1}


def test_an_element_that_names_no_time_has_that_of_its_timestamp(sandbox: Sandbox) -> None:
    given = [
        TimestampedValue(record(1, status="exited"), 1_700_000_300),
        TimestampedValue(record(1), 1_700_000_000),
        TimestampedValue(record(2, event_time="2023-11-14T22:20:00Z"), 0),
        TimestampedValue(record(2, status="existing"), 1_700_000_300),
    ]

    came = run(beam.Create(given), write(sandbox))

    assert values(sandbox) == {1: "exited", 2: "realized"}
    times = {
        (each.outreach_id, json.loads(each.value)): each.event_time for each in came["receipts"]
    }
    assert times[1, "exited"] == 1_700_000_300_000_000
    assert times[2, "existing"] == 1_700_000_300_000_000


def test_a_user_who_is_refused_fails_the_pipeline_but_not_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STALE", "stale")
    options = SandboxOptions(prospects=40, tokens={SECRET: "ops"})
    with running_sandbox(options) as sandbox:
        users = [OPS, Access("sales", BearerAuth("STALE"))]

        mend = r"user 'sales': .* variable STALE.*; \d+ changes were not sent"
        with pytest.raises(ActivationError, match=mend):
            run([record(prospect) for prospect in range(1, 41)], write(sandbox, users=users))

        written = values(sandbox)
        assert 0 < len(written) < 40
        # Their receipts are not undone with it.
        assert {receipt.outreach_id for receipt in _kept["receipts"]} == set(written)


def test_unbounded_input_is_held_merged_and_sent_while_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    def stages(elements: PCollection) -> dict[str, PCollection]:
        return (elements | write(sandbox, hold_seconds=5.0, clock=stream_time))._asdict()

    given = [json.dumps(record(1, status=status)).encode() for status in ("realized", "exited")]
    came = flow(
        monkeypatch,
        [
            come(given[0], b"{"),
            come(given[1]),
            *[wait(6), wait(1)],
            come(json.dumps(record(61)).encode()),
            *[wait(6), wait(1)],
            come(json.dumps(record(2)).encode()),
        ],
        bytes,
        stages,
    )

    ended = [
        (one.at, one.element.outreach_id, one.element.outcome)
        for one in came
        if one.what == "receipts"
    ]
    assert [(who, what) for _, who, what in ended] == [
        (1, "superseded"),
        (1, "delivered"),
        (61, "rejected"),
        (2, "deferred"),
    ]
    assert [at for at, *_ in ended[:3]] == [6.0, 6.0, 13.0]
    letters = [one.element for one in came if one.what == "dead_letters"]
    assert [letter.reason for letter in letters] == ["not_json", "not_found", "deferred"]


def test_the_stages_one_after_the_other_come_to_what_all_in_one_do(sandbox: Sandbox) -> None:
    lines = list(flat_lines(200, 30, [*SEGMENTS, "nobody's"]))
    given = [TimestampedValue(line, place + 1) for place, line in enumerate([*lines, "{"])]

    _kept.clear()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parsed = pipeline | beam.Create(given) | ParseAudienceChanges(["jobTitle"])
        mapped = (parsed.memberships, parsed.attributes) | beam.Flatten() | MapToFields(PLAN)
        merged = mapped.changes | CoalesceChanges()
        sent = merged.patches | PatchProspects(sandbox.url, [OPS])
        ended = (mapped.outcomes, merged.outcomes, sent.outcomes) | "Ended" >> beam.Flatten()
        issued = ended | IssueReceipts()
        for name, collection in (
            ("receipts", issued.receipts),
            ("unread", parsed.dead_letters),
            ("refused", issued.dead_letters),
        ):
            _kept[name] = []
            collection | name >> beam.Map(keep, name)
    apart = dict(_kept)

    with running_sandbox(SandboxOptions(prospects=60)) as other:
        at_once = run(beam.Create(given), write(other, attributes=PLAN.attributes))
        assert sandbox.prospects() == other.prospects()

    assert sorted(each[:7] for each in apart["receipts"]) == sorted(
        each[:7] for each in at_once["receipts"]
    )
    assert reasons(apart["unread"]) == reasons(at_once["dead_letters"]) == [("parse", "not_json")]
    assert apart["refused"] == []


def test_parse_gives_memberships_attributes_and_dead_letters() -> None:
    text = profile(7, {"seg": ("exited", "2026-01-02T03:04:05Z")}, jobTitle="Engineer", city="Ulm")

    came = run([text, "no"], ParseAudienceChanges(attributes=["jobTitle"]))

    (membership,) = came["memberships"]
    assert membership[1:5] == (7, "ups", "seg", "exited")
    (attribute,) = came["attributes"]
    assert attribute[1:4] == (7, "jobTitle", '"Engineer"')
    assert reasons(came["dead_letters"]) == [("parse", "not_json")]


def test_a_value_that_its_field_cannot_hold_ends_in_mapping() -> None:
    plan = Plan("Oid", (), (Attribute("tags", "title"),), (OutreachUser("ops", 1),))
    given = [AttributeChange("a", 1, "tags", '["x","y"]', None, 0)]

    came = run(given, MapToFields(plan))

    assert came["changes"] == []
    assert [each.reason for each in came["outcomes"]] == ["value_invalid"]


def test_changes_of_a_prospect_become_one_patch() -> None:
    given = [change(1, "custom4", "old", time=1), change(1, "custom4", "new", time=2)]
    given += [change(1, "custom5", "b"), change(2, "custom4", "c")]

    came = run(given, CoalesceChanges())

    patches = {each.outreach_id: [one.value for one in each.changes] for each in came["patches"]}
    assert patches == {1: ['"new"', '"b"'], 2: ['"c"']}
    assert [each.outcome for each in came["outcomes"]] == ["superseded"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: WriteToOutreach(users=[OPS]), "nothing is mapped"),
        (lambda: WriteToOutreach(users=[], audiences=AUDIENCES), "no user by whose requests"),
        (lambda: WriteToOutreach(users=[OPS, OPS], audiences=AUDIENCES), "named 'ops'"),
        (lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES * 2), "is mapped twice"),
        (
            lambda: WriteToOutreach(
                users=[OPS], audiences=[Audience.of("a", 4), Audience.of("b", 4)]
            ),
            "custom4 is written by two",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], attributes=[Attribute("jobTitle", "titel")]),
            "'titel' is no prospect field that can be written; did you mean 'title'",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], attributes=[Attribute("site", "account_domain")]),
            "account_domain needs a ledger",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES, hold_seconds=-1),
            "hold_seconds is -1",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES, base_url="http://api.x.io"),
            "not encrypted",
        ),
        (lambda: Audience.of("a", 151), "mapping_id 151 is not from 1 to 150"),
        (lambda: Audience.of("a", 4, {"left": "x"}), "no status 'left'"),
        (lambda: Audience.of("a", 4, {"exited": {1}}), "cannot be written to a field"),
        (lambda: ParseAudienceChanges(identity=""), "identity is empty"),
        (lambda: CoalesceChanges(remember_seconds=-1), "remember_seconds is -1"),
        (lambda: PatchProspects("https://api.outreach.io", []), "give at least one"),
        (lambda: PatchProspects("api.outreach.io", [OPS]), "must be a web address"),
        (lambda: PatchProspects("https://me:pw@x.io", [OPS]), "without user"),
        (lambda: BudgetTerms(10, 60, 10), "leaves none to send"),
        (lambda: Delivery(in_flight=0), "in flight"),
    ],
)
def test_what_is_wrong_is_said_when_a_transform_is_made(make: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


def test_a_list_of_paths_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match=r"such as \['jobTitle'\]"):
        ParseAudienceChanges(attributes="jobTitle")


@pytest.mark.parametrize(
    ("given", "stage", "said"),
    [
        ([1, 2], WriteToOutreach(users=[OPS], audiences=AUDIENCES), "WriteToOutreach takes bytes"),
        ([("k", "v")], WriteToOutreach(users=[OPS], audiences=AUDIENCES), "this collection is of"),
        ([1.5], ParseAudienceChanges(), "ParseAudienceChanges takes bytes"),
        (["text"], MapToFields(PLAN), "expected Union"),
        (["text"], CoalesceChanges(), "expected .*Change"),
        (["text"], PatchProspects("https://api.outreach.io", [OPS]), "expected .*Patch"),
        (["text"], IssueReceipts(), "expected .*Outcome"),
    ],
)
def test_elements_of_another_kind_are_refused_when_the_pipeline_is_built(
    given: list[Any], stage: beam.PTransform, said: str
) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    with pytest.raises((TypeError, TypeCheckError), match=said):
        pipeline | beam.Create(given) | stage


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


def test_two_writes_fit_into_one_pipeline(sandbox: Sandbox) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        for name, prospect in (("First", 1), ("Second", 2)):
            pipeline | f"Given{name}" >> beam.Create([record(prospect)]) | name >> write(sandbox)
    assert values(sandbox) == {1: "realized", 2: "realized"}
