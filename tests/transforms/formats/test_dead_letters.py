"""A dead letter read again is the change or the record that it was."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from tests.transforms.formats.reading import T1, delivered, flat, memberships, read, refusal
from transforms.elements import AttributeChange, MembershipChange


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
