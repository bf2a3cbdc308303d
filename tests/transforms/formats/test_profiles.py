"""Profiles: memberships, ids and attributes, and what a wrong part of one costs."""

from __future__ import annotations

import orjson
import pytest

from tests.transforms.formats.reading import (
    T1,
    T2,
    attributes,
    flat,
    memberships,
    profile,
    read,
    refusal,
)
from transforms.elements import Block
from transforms.stages.parse import parse


def test_each_membership_of_a_profile_is_a_change() -> None:
    assert memberships(read(profile())) == [
        (1234, "ups", "seg-a", "realized", T1),
        (1234, "ups", "seg-b", "exited", T2),
    ]


def test_a_list_and_a_profiles_object_hold_many() -> None:
    expected = memberships(read(profile())) * 2
    assert memberships(read([profile(), profile()])) == expected
    assert memberships(read({"profiles": [profile(), profile()]})) == expected
    assert memberships(read([flat(), profile()])) == [
        (1234, None, "seg-a", "realized", T1),
        *memberships(read(profile())),
    ]


def test_several_ids_are_several_prospects_and_each_counts_once() -> None:
    ids = [{"id": 7}, {"id": "8"}, {"id": "7"}, {"id": 8.0}]
    parsed = read(profile(identityMap={"Oid": ids}))
    assert [(change.outreach_id, change.segment) for change in parsed.memberships] == [
        *((7, "seg-a"), (8, "seg-a")),
        *((7, "seg-b"), (8, "seg-b")),
    ]


@pytest.mark.parametrize("namespace", ["oid", "OID"])
def test_the_namespace_is_found_whatever_its_case(namespace: str) -> None:
    assert len(read(profile(identityMap={namespace: [{"id": 7}]})).memberships) == 2


def test_the_namespace_spelled_exactly_goes_before_any_other() -> None:
    identities = {"oid": [{"id": 7}], "Oid": [{"id": 8}], "OID": [{"id": 9}]}
    parsed = read(profile(identityMap=identities))
    assert {change.outreach_id for change in parsed.memberships} == {8}


def test_another_namespace_can_hold_the_id() -> None:
    parsed = read(profile(), identity="ecid")
    assert {change.outreach_id for change in parsed.memberships} == {145750}


@pytest.mark.parametrize("identities", [{"ecid": [{"id": "1"}]}, {"Oid": []}, {}, None])
def test_a_profile_without_an_id_is_refused_and_says_what_is_there(identities: object) -> None:
    parsed = read(profile(identityMap=identities))
    assert refusal(parsed).reason == "identity_missing"
    assert ("'ecid'" in refusal(parsed).detail) == bool(identities and "ecid" in identities)
    assert not parsed.memberships


@pytest.mark.parametrize(
    "bad",
    [
        0,
        -1,
        1.5,
        2.0**53,
        2**63,
        "abc",
        "",
        "12a",
        "+5",
        "5 5",
        "1_0",
        "٣",
        "9" * 5000,
        True,
        None,
        [],
        {},
    ],
)
def test_an_id_that_is_no_outreach_id_costs_only_itself(bad: object) -> None:
    parsed = read(profile(identityMap={"Oid": [{"id": bad}, {"id": "5"}]}))
    assert refusal(parsed).reason == "identity_invalid"
    assert {change.outreach_id for change in parsed.memberships} == {5}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"status": "Realised"}, "status_unknown"),
        ({"status": None}, "status_unknown"),
        ({"status": []}, "status_unknown"),
        ({}, "status_unknown"),
        ({"status": "exited", "lastQualificationTime": "soon"}, "time_invalid"),
        ({"status": "exited", "lastQualificationTime": ""}, "time_invalid"),
        ("exited", "unknown_shape"),
        (None, "unknown_shape"),
    ],
)
def test_a_bad_membership_costs_only_itself(bad: object, reason: str) -> None:
    good = {"status": "existing", "lastQualificationTime": "2026-01-02T03:04:05Z"}
    parsed = read(profile(segmentMembership={"ups": {"bad": bad, "good": good}}))
    assert refusal(parsed).reason == reason
    assert refusal(parsed).detail.startswith("segmentMembership.ups.bad: ")
    assert [change.segment for change in parsed.memberships] == ["good"]


def test_the_nearest_status_is_named() -> None:
    parsed = read(profile(segmentMembership={"ups": {"a": {"status": "exitted"}}}))
    assert "did you mean 'exited'?" in refusal(parsed).detail


def test_a_membership_without_a_time_has_none_in_a_file() -> None:
    parsed = read(profile(segmentMembership={"ups": {"a": {"status": "exited"}}}))
    assert memberships(parsed) == [(1234, "ups", "a", "exited", None)]


def test_a_membership_without_a_time_has_that_of_its_message() -> None:
    record = profile(segmentMembership={"ups": {"a": {"status": "exited"}}})
    message = Block("topic", 0, [orjson.dumps(record)], published=T1, message_id="77")
    parsed = parse(message, "Oid", ["person.name.firstName"], 0)
    assert memberships(parsed) == [(1234, "ups", "a", "exited", T1)]
    assert attributes(parsed) == [(1234, "person.name.firstName", '"Ann"', T1)]


def test_a_profile_without_memberships_is_no_trouble() -> None:
    for empty in ({}, None, {"ups": {}}, {"ups": None}):
        assert read(profile(segmentMembership=empty))[:4] == ([], [], [], 1)


def test_wanted_attributes_come_with_the_newest_time_of_the_profile() -> None:
    wanted = ("person.name.firstName", "person.name.lastName", "work.address", "no.such")
    assert attributes(read(profile(), sources=wanted)) == [
        (1234, "person.name.firstName", '"Ann"', T2),
        (1234, "person.name.lastName", "null", T2),
        (1234, "work.address", '"1 Mill Lane"', T2),
    ]


def test_a_membership_with_a_bad_time_does_not_date_the_attributes() -> None:
    bad = {"a": {"status": "exited", "lastQualificationTime": "soon"}}
    parsed = read(profile(segmentMembership={"ups": bad}), sources=["person.name.firstName"])
    assert attributes(parsed) == [(1234, "person.name.firstName", '"Ann"', None)]


def test_an_attribute_is_looked_for_by_its_whole_name_first_and_in_attributes_last() -> None:
    wanted = ["a.b"]
    both = {"a.b": 1, "a": {"b": 2}, "attributes": {"a.b": 3, "a": {"b": 4}}}
    for value in (1, 2, 3, 4):
        assert [change.value for change in read(profile(**both), sources=wanted).attributes] == [
            str(value)
        ]
        place = both if value < 3 else both["attributes"]
        place.pop("a.b" if value % 2 else "a")


def test_an_empty_object_is_no_value_and_null_clears() -> None:
    record = profile(street={}, attributes={"city": {}, "zip": {"value": None}, "town": None})
    record["attributes"]["street"] = "1 Mill Lane"
    parsed = read(record, sources=["street", "city", "zip", "town"])
    assert [(change.source, change.value) for change in parsed.attributes] == [
        ("zip", "null"),
        ("town", "null"),
    ]


@pytest.mark.parametrize("value", ["x", 1, 1.5, True, None, [], ["x", 2, None], "a\u0000b"])
def test_scalars_and_lists_of_them_are_values(value: object) -> None:
    parsed = read(profile(city=value), sources=["city"])
    assert [orjson.loads(change.value) for change in parsed.attributes] == [value]


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [{}], {"value": {"a": 1}}, 1e30, -(10**20)])
def test_any_other_value_costs_only_the_attribute(value: object) -> None:
    text = orjson.dumps(profile(city=0)).replace(
        b'"city":0', f'"city":{value:d}'.encode() if isinstance(value, int) else
        b'"city":' + orjson.dumps(value)
    )  # fmt: skip
    parsed = read(text, sources=["city", "person.name.firstName"])
    assert refusal(parsed).reason == "value_invalid"
    assert refusal(parsed).detail.startswith("attribute city: ")
    assert [change.source for change in parsed.attributes] == ["person.name.firstName"]
    assert len(parsed.memberships) == 2
