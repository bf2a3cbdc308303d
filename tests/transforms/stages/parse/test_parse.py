"""Parse: ids, places and dead letters of arrivals; and the stage around it."""

from __future__ import annotations

from hashlib import blake2b

import apache_beam as beam
import orjson
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.transforms.stages.parse.parsing import FLAT, OTHER, SOURCES, arrival_ids, read, replayed
from transforms.elements import DEFERRED, Block, DeadLetter, Outcome
from transforms.formats.context import PLACE_BITS
from transforms.mapping import Attribute, Audience, Mapping, OutreachUser, Plan
from transforms.plan import CLOCK_SKEW
from transforms.receipts import dead_letter_line, dead_letters
from transforms.stages.parse import Arrived, Parse, parse


def test_the_arrival_id_is_a_digest_of_the_line_without_blanks_around_it() -> None:
    digest = blake2b(FLAT, digest_size=12).hexdigest()
    parsed = read(FLAT, b"  " + FLAT + b"\r", b"\xef\xbb\xbf" + FLAT, OTHER)
    assert arrival_ids(parsed)[:3] == [digest] * 3
    assert arrival_ids(parsed)[3] != digest


def test_the_elements_of_a_list_have_the_digest_of_the_line_and_their_index() -> None:
    line = b"[" + FLAT + b"," + OTHER + b"]"
    digest = blake2b(line, digest_size=12).hexdigest()
    assert arrival_ids(read(line)) == [f"{digest}-0", f"{digest}-1"]


def test_a_message_is_known_by_its_id_whatever_it_holds() -> None:
    first = read(FLAT, message_id="77", published=5)
    assert arrival_ids(first) == arrival_ids(read(OTHER, message_id="77", published=9))
    assert arrival_ids(first) == [blake2b(b"77", digest_size=12).hexdigest()]
    assert arrival_ids(first) != arrival_ids(read(FLAT, message_id="78", published=5))


def test_a_csv_row_is_known_by_itself_and_its_header() -> None:
    one = read(b"1,s,exited", header="outreach_id,segment,status")
    other = read(b"1,s,exited", header="outreach_id,status,segment")
    assert arrival_ids(one) == arrival_ids(read(b"outreach_id,segment,status\n1,s,exited"))
    assert other.dead_letters


def place(line: int, element: int = 0) -> int:
    return (line << PLACE_BITS) + element


def test_places_follow_the_lines_and_the_elements_within_a_line() -> None:
    parsed = read(FLAT, b"", b"[" + b",".join([FLAT] * 11) + b"]", OTHER)
    assert [change.sequence for change in parsed.memberships] == [
        place(100),
        *(place(102, element) for element in range(11)),
        place(103),
    ]
    assert parsed.arrivals == 3


def test_the_last_of_many_records_in_one_array_wins_if_none_has_a_time() -> None:
    statuses = ["realized"] * 11 + ["exited"]
    records = [{"outreach_id": 1, "segment": "s", "status": status} for status in statuses]
    changes = read(orjson.dumps(records)).memberships
    assert max(changes, key=lambda change: change.sequence).status == "exited"


def test_a_message_has_the_place_and_time_of_its_publication() -> None:
    (change,) = read(FLAT, message_id="77", published=5).memberships
    assert (change.sequence, change.event_time) == (place(5), 5)
    timed = orjson.dumps(orjson.loads(FLAT) | {"event_time": 60})
    (change,) = read(timed, message_id="77", published=5).memberships
    assert (change.sequence, change.event_time) == (place(5), 60_000_000)
    (change,) = read(FLAT, message_id="77").memberships
    assert (change.sequence, change.event_time) == (place(100), None)


@pytest.mark.parametrize("line", [b"", b" ", b"\t\r", b"\x0b\x0c"])
def test_blank_lines_are_no_arrivals(line: bytes) -> None:
    assert read(line)[:4] == ([], [], [], 0)


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b'{"outreach_id": 1,', "character 19"),
        (b"{} x", "character 4"),
        (b"nan", "character 1"),
        (b"1e999", "character 1"),
        (b'"\x00"', "character 2"),
        (b'{"a": "\xff"}', "no UTF-8 at byte 8"),
        (b"\xff\xfe{\x00}\x00", "no UTF-8 at byte 1"),
        (b"[" * 100_000, "depth"),
        (b"outreach_id", "character 1"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place_and_kept_as_it_came(
    line: bytes, detail: str
) -> None:
    (letter,) = read(line).dead_letters
    assert letter.reason == "not_json"
    assert detail in letter.detail
    (again,) = replayed([letter]).dead_letters
    assert (again.reason, again.payload) == (letter.reason, letter.payload)


def test_a_dead_letter_says_where_and_when() -> None:
    letters = read(FLAT, b"x", line=7).dead_letters
    letters += read(b"x", message_id="77", published=1).dead_letters
    letters += read(b'1,"a\nb",exited', b"x", header="outreach_id,segment,status").dead_letters
    assert [letter.source for letter in letters] == [
        "changes.jsonl:8",
        "changes.jsonl message 77",
        "changes.jsonl:3",
    ]
    assert {(letter.stage, letter.http_status, letter.recorded_at) for letter in letters} == {
        ("parse", None, 7)
    }


def test_the_dead_letter_of_an_element_holds_that_element_alone() -> None:
    bad = {"outreach_id": "x"}
    (letter,) = read(b"[" + FLAT + b"," + orjson.dumps(bad) + b"]").dead_letters
    assert orjson.loads(orjson.loads(letter.payload)) == bad


def test_an_element_that_reads_deeper_than_it_writes_is_kept_with_its_list() -> None:
    line = b"[" + b'{"a":' * 500 + b"1" + b"}" * 500 + b", 5]"
    (letter,) = read(line).dead_letters
    assert orjson.loads(letter.payload).encode() == line


def test_trouble_without_end_makes_a_bounded_number_of_dead_letters() -> None:
    line = b"[" + b"1," * 5000 + FLAT + b"]"
    parsed = read(line)
    assert len(parsed.dead_letters) == 1000
    assert orjson.loads(parsed.dead_letters[-1].payload).encode() == line
    assert len(parsed.memberships) == 1
    bad = {f"s{number}": {} for number in range(5000)}
    profile = {"identityMap": {"Oid": [{"id": 1}]}, "segmentMembership": {"ups": bad}}
    assert len(read(orjson.dumps(profile)).dead_letters) == 16


def test_a_refused_line_mended_at_its_source_keeps_its_arrival_id() -> None:
    bad = b'{"outreach_id": 1, "segment": "s", "status": "Realised"}'
    (letter,) = read(bad).dead_letters
    mended = dead_letter_line(letter).replace(b"Realised", b"realized")
    assert arrival_ids(read(mended)) == arrival_ids(read(bad.replace(b"Realised", b"realized")))


def test_a_deferred_change_is_the_same_change_when_its_dead_letter_is_replayed() -> None:
    mapping = Mapping(
        Plan(
            "Oid",
            (Audience("s", None, "S", "custom4", (("realized", '"in"'), ("exited", "null"))),),
            (Attribute("firstName", "firstName"),),
            (OutreachUser("ops", 1),),
        )
    )
    record = orjson.loads(FLAT) | {"attributes": {"firstName": "Ann"}, "event_time": 60.5}
    first = read(OTHER, b"[" + orjson.dumps(record) + b"]")
    changes = mapping.map(first.memberships, first.attributes).changes
    again = replayed(list(dead_letters(Outcome(DEFERRED, changes, 0, reason="deferred"))))
    assert sorted(
        change._replace(sequence=0)
        for change in mapping.map(again.memberships, again.attributes).changes
    ) == sorted(change._replace(sequence=0, retry=True) for change in changes)


def test_the_stage_puts_out_the_changes_of_a_block_together_and_counts() -> None:
    blocks = [
        Block("a", 0, [FLAT, b"bad", OTHER]),
        Block("b", 3, [b"", b"[]"]),
        Block("c", 5, [b"bad", b"worse"]),
    ]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        parsed = (
            pipeline | beam.Create(blocks) | Parse("Oid", SOURCES, clock=lambda: 2.5, skew=2**60)
        )
        expected = parse(blocks[0], "Oid", SOURCES, 0)
        assert_that(
            parsed.arrived, equal_to([Arrived(expected.memberships, [], [])]), label="arrived"
        )
        assert_that(
            parsed.dead_letters | beam.Map(lambda it: (it.source, it.reason, it.recorded_at)),
            equal_to([(place, "not_json", 2_500_000) for place in ("a:2", "c:1", "c:2")]),
        )
        assert parsed.arrived.element_type is Arrived
        assert parsed.dead_letters.element_type is DeadLetter
    counters = pipeline.result.metrics().query()["counters"]
    counts = {
        it.key.metric.name: it.committed for it in counters if it.key.metric.namespace == "parse"
    }
    zero = {"out-skewed": 0, "out-excluded": 0}
    assert counts == {"in-records": 6, "out-changes": 2, "out-dead-letters": 3, **zero}


@pytest.mark.parametrize("published", [None, 1_767_323_045_000_000])
def test_a_time_in_the_future_counts_as_the_time_of_arrival(published: int | None) -> None:
    now = 1_767_323_045_000_000  # 2026-01-02T03:04:05Z
    times = ["2199-01-01T00:00:00Z", "2026-01-02T03:14:06Z", "2026-01-02T03:14:05Z"]
    lines = [
        b'{"outreach_id": 1, "segment": "s", "status": "exited", "event_time": "%b",'
        b' "attributes": {"a": 1}}' % time.encode()
        for time in times
    ]
    block = Block("f", 0, lines, published=published, message_id=None if published is None else "m")

    parsed = parse(block, "Oid", ["a"], now, CLOCK_SKEW)

    assert [each.event_time for each in parsed.memberships] == [now, now, now + 600_000_000]
    assert [each.event_time for each in parsed.attributes] == [now, now, now + 600_000_000]
    assert parsed.skewed == 4
    assert parse(block, "Oid", (), now, skew=10**16).skewed == 0
