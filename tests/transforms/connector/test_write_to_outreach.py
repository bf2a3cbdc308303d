"""What a Beam user's elements come to: values written, receipts and dead letters."""

from __future__ import annotations

import json
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.pvalue import PCollection
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.error_handling import CollectingErrorHandler, ErrorHandler
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.beam.stream import come, flow, stream_time, wait
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS
from tests.support.data.trace import expected, flat_lines, profile
from tests.support.in_process.delivering import statuses, values
from tests.support.processes.program import replay as run_replay
from tests.support.processes.program import write_destination, write_lines
from tests.transforms.connector.writing import (
    OPS,
    SECRET,
    Columns,
    _kept,
    outcomes,
    reasons,
    record,
    run,
    values_of_fields,
    write,
)
from transforms import (
    Access,
    Attribute,
    AttributeChange,
    BearerAuth,
    DeadLetter,
    MembershipChange,
    ParseAudienceChanges,
    dead_letter_line,
)
from transforms.errors import ActivationError

pytestmark = pytest.mark.real


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


def test_two_writes_fit_into_one_pipeline(sandbox: Sandbox) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        for name, prospect in (("First", 1), ("Second", 2)):
            pipeline | f"Given{name}" >> beam.Create([record(prospect)]) | name >> write(sandbox)
    assert values(sandbox) == {1: "realized", 2: "realized"}
