"""Flat records: one membership each, with attributes beside it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.formats.reading import T1, attributes, flat, memberships, read, refusal


def test_a_flat_record_is_one_membership() -> None:
    assert memberships(read(flat())) == [(1234, None, "seg-a", "realized", T1)]
    assert memberships(read(flat(namespace="ups", note="x"))) == [
        (1234, "ups", "seg-a", "realized", T1)
    ]
    assert memberships(read([flat(outreach_id="5", event_time=None)])) == [
        (5, None, "seg-a", "realized", None)
    ]


def test_the_segment_of_a_flat_record_may_be_a_number() -> None:
    assert memberships(read(flat(segment=65241452)))[0][2] == "65241452"


def test_flat_attributes_have_the_time_of_the_record_and_need_no_membership() -> None:
    alone = {"outreach_id": 1, "event_time": T1, "attributes": {"firstName": "Ann"}}
    for record in (alone, flat(outreach_id=1, attributes={"firstName": "Ann"})):
        parsed = read(record, sources=["firstName", "status"])
        assert attributes(parsed) == [(1, "firstName", '"Ann"', T1)]
        assert len(parsed.memberships) == ("segment" in record)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"outreach_id": None}, "identity_missing"),
        ({"outreach_id": "abc"}, "identity_invalid"),
        ({"status": "left"}, "status_unknown"),
        ({"status": None}, "status_unknown"),
        ({"segment": None}, "unknown_shape"),
        ({"segment": ""}, "unknown_shape"),
        ({"segment": True}, "unknown_shape"),
        ({"segment": None, "status": None}, "unknown_shape"),
        ({"namespace": 5}, "unknown_shape"),
        ({"attributes": []}, "unknown_shape"),
        ({"event_time": "yesterday"}, "time_invalid"),
        ({"event_time": True}, "time_invalid"),
    ],
)
def test_a_wrong_part_of_a_flat_record_is_refused(changed: dict[str, Any], reason: str) -> None:
    parsed = read(flat(**changed))
    assert refusal(parsed).reason == reason
    assert not parsed.memberships


def test_a_bad_status_does_not_cost_the_attributes() -> None:
    parsed = read(flat(status="left", attributes={"a": 1}), sources=["a"])
    assert refusal(parsed).reason == "status_unknown"
    assert attributes(parsed) == [(1234, "a", "1", T1)]
