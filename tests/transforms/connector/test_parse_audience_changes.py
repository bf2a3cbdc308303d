"""Take: what a Beam user's elements are read as, without a pipeline."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from apache_beam import Row
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from transforms.connector.element_json import UnwritableError, arrival_of
from transforms.connector.parse_audience_changes import published_at, take
from transforms.elements import AttributeChange, MembershipChange
from transforms.receipts import dead_letter_line
from transforms.stages.parse import Parsed

MOMENT = "2026-01-02T03:04:05Z"
MICROS = 1_767_323_045_000_000


class Line(NamedTuple):
    line: str


class Person(NamedTuple):
    outreach_id: str


def taken(element: object, *sources: str, published: int | None = None) -> Parsed:
    return take(element, "Oid", sources, published, 1)


def record(**more: object) -> dict[str, Any]:
    return {"outreach_id": 1, "segment": "s", "status": "realized", **more}


@pytest.mark.parametrize(
    ("element", "arrival"),
    [
        (b"any \xff bytes", b"any \xff bytes"),
        ("Stra\u00dfe", "Stra\u00dfe".encode()),
        (Line("text"), b"text"),
        (Row(payload=b"bytes"), b"bytes"),
        ({"message": "text"}, b"text"),
        (Person("7"), b'{"outreach_id":"7"}'),
        (Row(a=1, b=Row(c=None)), b'{"a":1,"b":{"c":null}}'),
        (MappingProxyType({"a": MappingProxyType({"b": 1})}), b'{"a":{"b":1}}'),
        ({"a": np.int64(7), "b": np.float64(1.5)}, b'{"a":7,"b":1.5}'),
        ({"a": Decimal("7.00"), "b": Decimal("1.5")}, b'{"a":7,"b":1.5}'),
        ({"a": b"bytes", "b": {1: (2, 3)}}, b'{"a":"bytes","b":{"1":[2,3]}}'),
        ({"a": frozenset({"one"}), "b": 1}, b'{"a":["one"],"b":1}'),
        ({"a": date(2026, 1, 2), "b": 1}, b'{"a":"2026-01-02","b":1}'),
        (5, b"5"),
        (None, b"null"),
        (math.nan, b"null"),
    ],
)
def test_an_element_stands_for_these_bytes(element: object, arrival: bytes) -> None:
    assert arrival_of(element) == arrival


@pytest.mark.parametrize(
    "time",
    [
        MOMENT,
        Timestamp.from_rfc3339(MOMENT),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - what is without a zone is in UTC
        np.datetime64("2026-01-02T03:04:05"),
        MICROS / 1_000_000,
    ],
    ids=lambda time: type(time).__name__,
)
def test_a_time_may_be_of_any_type_that_python_has_for_one(time: object) -> None:
    (membership,) = taken(record(event_time=time)).memberships
    assert membership.event_time == MICROS


def test_what_a_data_frame_has_not_is_no_value() -> None:
    attributes = {"jobTitle": math.nan, "city": None}
    parsed = taken(record(event_time=math.nan, attributes=attributes), "jobTitle", "city")
    assert [one.event_time for one in parsed.memberships] == [None]
    assert [(one.source, one.value) for one in parsed.attributes] == [("city", "null")]
    as_row = Row(**record(attributes=Row(**attributes)))
    assert taken(as_row, "jobTitle", "city").attributes[0].source == "city"


def test_changes_that_were_read_before_pass_as_they_are() -> None:
    membership = MembershipChange("a", 1, None, "s", "realized", 5, 6)
    attribute = AttributeChange("a", 1, "jobTitle", '"x"', 5, 6)
    assert taken(membership) == Parsed([membership], [], [], 1)
    assert taken(attribute) == Parsed([], [attribute], [], 1)


@pytest.mark.parametrize("element", ["\ud800", {"a": "\ud800"}, {"a": 2**70}, {"a": object()}])
def test_what_no_json_can_be_made_of_is_a_dead_letter(element: object) -> None:
    with pytest.raises(UnwritableError):
        arrival_of(element)
    (letter,) = taken(element).dead_letters
    assert (letter.stage, letter.reason, letter.recorded_at) == ("parse", "unknown_shape", 1)
    assert isinstance(json.loads(letter.payload), str)
    assert letter.detail.startswith("no JSON can be made of it: ")


def test_the_same_element_has_the_same_change_id_and_names_its_dead_letter() -> None:
    first, second = (taken(record()).memberships[0] for _ in range(2))
    assert first.arrival_id == second.arrival_id
    (letter,) = taken(record(status="in")).dead_letters
    assert letter.source.startswith("element ")
    assert letter.source == taken(record(status="in")).dead_letters[0].source


def test_the_later_published_has_the_higher_place() -> None:
    earlier = taken(record(), published=10).memberships[0]
    later = taken(record(), published=11).memberships[0]
    assert (earlier.event_time, later.event_time) == (10, 11)
    assert earlier.sequence < later.sequence < 2**63


@pytest.mark.parametrize(
    ("timestamp", "published"),
    [
        (Timestamp(micros=MICROS), MICROS),
        (MIN_TIMESTAMP, None),
        (MAX_TIMESTAMP, None),
        (Timestamp(0), None),
        (Timestamp(-5), None),
    ],
)
def test_a_timestamp_that_says_nothing_counts_for_none(
    timestamp: Timestamp, published: int | None
) -> None:
    assert published_at(timestamp) == published


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(ANYTHING | st.fixed_dictionaries(dict.fromkeys(record(), ANYTHING)))
def test_any_element_is_read_or_is_a_dead_letter_that_can_be_replayed(element: object) -> None:
    parsed = taken(element, "jobTitle")
    assert parsed.arrivals <= 1
    for letter in parsed.dead_letters:
        again = taken(dead_letter_line(letter), "jobTitle")
        nothing_to_refuse = json.loads(letter.payload) == "[]"
        assert again.dead_letters or again.memberships or nothing_to_refuse
