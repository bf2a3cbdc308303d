"""The formats: what each shape of record holds, and what a wrong part of one costs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from transforms.elements import AttributeChange, Block, DeadLetter, MembershipChange
from transforms.stages.parse import Parsed, parse

SECOND = 1_000_000
T1 = 1_767_323_045 * SECOND  # 2026-01-02T03:04:05Z
T2 = T1 + 60 * SECOND


def read(value: object, *, identity: str = "Oid", sources: Sequence[str] = ()) -> Parsed:
    text = value if isinstance(value, bytes) else orjson.dumps(value)
    return parse(Block("changes.jsonl", 0, [text]), identity, sources, 0)


def memberships(parsed: Parsed) -> list[tuple[int, str | None, str, str, int | None]]:
    assert not parsed.dead_letters
    return [
        (change.outreach_id, change.namespace, change.segment, change.status, change.event_time)
        for change in parsed.memberships
    ]


def attributes(parsed: Parsed) -> list[tuple[int, str, str, int | None]]:
    return [
        (change.outreach_id, change.source, change.value, change.event_time)
        for change in parsed.attributes
    ]


def refusal(parsed: Parsed) -> DeadLetter:
    (letter,) = parsed.dead_letters
    return letter


def profile(**changed: Any) -> dict[str, Any]:
    return {
        "person": {"name": {"firstName": "Ann", "lastName": None}},
        "work": {"address": {"value": "1 Mill Lane"}},
        "segmentMembership": {
            "ups": {
                "seg-a": {"status": "realized", "lastQualificationTime": "2026-01-02T03:04:05Z"},
                "seg-b": {"status": "exited", "lastQualificationTime": "2026-01-02T03:05:05Z"},
            }
        },
        "identityMap": {"ecid": [{"id": "145750"}], "Oid": [{"id": "1234"}]},
    } | changed


def flat(**changed: Any) -> dict[str, Any]:
    return {
        "outreach_id": 1234,
        "segment": "seg-a",
        "status": "realized",
        "event_time": "2026-01-02T03:04:05Z",
    } | changed


def delivered(**changed: Any) -> dict[str, Any]:
    payload = {
        "outreach_id": 1234,
        "attributes": {"custom4": "yes"},
        "segment": "seg-a",
        "namespace": "ups",
        "origin": "realized",
        "event_time": "2026-01-02T03:04:05Z",
        "change_id": "0af1-3-1234-custom4",
    } | changed
    return {"stage": "deliver", "reason": "not_found", "detail": "", "payload": payload}


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


def test_a_membership_refused_is_that_membership_again_to_be_sent_whatever_is_known() -> None:
    parsed = read(delivered())
    assert parsed.memberships == [
        MembershipChange("0af1-3", 1234, "ups", "seg-a", "realized", T1, 0, retry=True)
    ]


def test_an_attribute_refused_is_that_attribute_again() -> None:
    letter = delivered(
        segment=None, namespace=None, origin="person.name.firstName", event_time=None,
        attributes={"firstName": None}, change_id="0af1-1234-firstName",
    )  # fmt: skip
    assert read(letter).attributes == [
        AttributeChange("0af1", 1234, "person.name.firstName", "null", None, 0, retry=True)
    ]


@pytest.mark.parametrize("change_id", [None, 5, "other", "-1234-custom4", "0af1-1234-custom5"])
def test_a_change_id_that_does_not_fit_gives_way_to_the_digest(change_id: object) -> None:
    (change,) = read(delivered(change_id=change_id)).memberships
    assert len(change.arrival_id) == 24


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"outreach_id": "x"}, "identity_invalid"),
        ({"outreach_id": None}, "identity_invalid"),
        ({"attributes": {}}, "unknown_shape"),
        ({"attributes": {"custom1": "a", "custom2": "b"}}, "unknown_shape"),
        ({"origin": "yes"}, "status_unknown"),
        ({"segment": None, "origin": None}, "unknown_shape"),
        ({"segment": None, "attributes": {"a": {"b": 1}}}, "value_invalid"),
        ({"event_time": "soon"}, "time_invalid"),
    ],
)
def test_a_spoiled_patch_is_refused_again(changed: dict[str, Any], reason: str) -> None:
    assert refusal(read(delivered(**changed))).reason == reason


def test_what_could_not_be_parsed_is_read_as_itself() -> None:
    text = orjson.dumps(flat()).decode()
    for payload in (text, flat()):  # as it came, and mended in place
        letter = {"stage": "parse", "reason": "not_json", "payload": payload}
        assert read(letter).memberships == read(text.encode()).memberships
    assert memberships(read([letter, letter])) == memberships(read(flat())) * 2


def test_a_payload_may_be_the_text_of_its_object_as_a_table_holds_it() -> None:
    refused = delivered()
    as_text = {**refused, "payload": orjson.dumps(refused["payload"]).decode()}
    assert memberships(read(as_text)) == memberships(read(refused))
    assert refusal(read({**refused, "payload": "{"})).reason == "unknown_shape"

    packed = {"base64": b64encode(orjson.dumps(flat())).decode()}
    letter = {"stage": "parse", "reason": "not_json", "payload": orjson.dumps(packed).decode()}
    assert memberships(read(letter)) == memberships(read(flat()))
    more = orjson.dumps({**packed, "more": 1}).decode()
    assert refusal(read({**letter, "payload": more})).payload == orjson.dumps(more).decode()


def test_letters_within_letters_are_unpacked_to_a_depth() -> None:
    def wrapped(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = flat()
        for _ in range(depth):
            value = {"stage": "parse", "reason": "x", "payload": orjson.dumps(value).decode()}
        return value

    assert len(read(wrapped(8)).memberships) == 1
    assert refusal(read(wrapped(9))).reason == "unknown_shape"


@pytest.mark.parametrize("payload", [None, 5, {"base64": "é"}, {"base64": "#"}, {"base64": 1}])
def test_a_payload_that_cannot_be_unpacked_is_refused(payload: object) -> None:
    letter = {"stage": "parse", "reason": "not_json", "payload": payload}
    assert refusal(read(letter)).reason == "unknown_shape"


HEADER = b"outreach_id,segment,status,event_time,namespace,attributes.firstName,city\n"


def test_a_text_with_a_header_is_read_as_rows() -> None:
    rows = HEADER + b'1,s,realized,2026-01-02T03:04:05Z,ups,Ann,"Bath, UK"\r\n\n2,t,exited'
    parsed = read(rows, sources=["firstName", "city"])
    assert memberships(parsed) == [
        (1, "ups", "s", "realized", T1),
        (2, None, "t", "exited", None),
    ]
    assert attributes(parsed) == [
        (1, "firstName", '"Ann"', T1),
        (1, "city", '"Bath, UK"', T1),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_told_by_the_header_whose_columns_stand_in_any_order(
    delimiter: str,
) -> None:
    lines = ["Status,Outreach_ID,segment", "exited, 7 ,s", "realized,8,t"]
    text = "\n".join(lines).replace(",", delimiter).encode()
    assert [change.outreach_id for change in read(text).memberships] == [7, 8]


def test_a_quoted_cell_may_hold_line_ends_delimiters_and_quotes() -> None:
    parsed = read(HEADER + b'1,,,,,"a\nb,""c""",', sources=["firstName"])
    assert attributes(parsed) == [(1, "firstName", '"a\\nb,\\"c\\""', None)]


def test_a_row_without_a_filled_cell_is_blank() -> None:
    assert read(HEADER + b",,,,,,\n\n")[:4] == ([], [], [], 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,s,realized,,,,,more", "not_csv"),
        (b'1,s,"realized', "not_csv"),
        (b'1,"s"x,realized', "not_csv"),
        (b"1,\xff,realized", "not_csv"),
        (b",s,realized", "identity_missing"),
        (b"x,s,realized", "identity_invalid"),
        (b"1,s,left", "status_unknown"),
        (b"1,s,exited,soon", "time_invalid"),
    ],
)
def test_a_bad_row_is_refused_with_its_header_and_alone(row: bytes, reason: str) -> None:
    parsed = read(HEADER + row + b"\n2,t,exited")
    letter = refusal(parsed)
    assert letter.reason == reason
    held = orjson.loads(letter.payload)
    assert held == (HEADER + row).decode() if isinstance(held, str) else held["base64"]
    assert [change.outreach_id for change in parsed.memberships] == [2]


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 5, "text", {}, {"a": 1}, [None], [[]], [[flat()]], {"profiles": 5}),
        {"in_cohort": True, "users": [{"user_id": "a"}]},
        {"stage": "parse", "reason": "x"},
        {"stage": ["parse"], "reason": "x", "payload": ""},
    ],
)
def test_any_other_shape_is_refused_with_the_shapes_that_are_known(value: object) -> None:
    letter = refusal(read(value))
    assert letter.reason == "unknown_shape"
    for known in ("outreach_id", "segmentMembership", "profiles"):
        assert known in letter.detail


def test_the_keys_of_an_unknown_shape_are_named_but_not_what_they_hold() -> None:
    letter = refusal(read({"userId": "s3cret", **{f"k{n}": n for n in range(20)}}))
    assert "'userId', 'k0'" in letter.detail
    assert "13 more" in letter.detail
    assert "s3cret" not in letter.detail


def test_an_empty_list_is_a_valid_record_of_nothing() -> None:
    assert read([])[:4] == read({"profiles": []})[:4] == ([], [], [], 1)
