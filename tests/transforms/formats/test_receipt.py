"""A receipt read as input: what it says is remembered, and nothing is sent for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transforms.elements import Block
from transforms.stages.parse import parse

RECEIPT = {
    "change_id": "abc-7-custom4",
    "outreach_id": 7,
    "segment": "s",
    "field": "custom4",
    "value": "realized",
    "event_time": "2026-01-02T03:04:05Z",
    "outcome": "delivered",
    "reason": None,
    "http_status": 200,
    "user": "ops",
    "recorded_at": "2026-01-02T03:04:06Z",
}


def read(**changed: Any) -> Any:
    line = json.dumps({**RECEIPT, **changed}).encode()
    return parse(Block("r.jsonl", 0, [line]), "Oid", (), 0)


@pytest.mark.parametrize("outcome", ["delivered", "unchanged"])
def test_what_was_delivered_or_was_so_already_is_known(outcome: str) -> None:
    parsed = read(outcome=outcome)

    (known,) = parsed.attributes
    assert (known.arrival_id, known.outreach_id, known.source) == ("abc", 7, "receipt:custom4")
    assert known.value == '"realized"'
    assert parsed.memberships == parsed.dead_letters == []


@pytest.mark.parametrize("outcome", ["superseded", "rejected", "deferred"])
def test_other_outcomes_say_nothing_of_what_outreach_holds(outcome: str) -> None:
    parsed = read(outcome=outcome)

    assert parsed.arrivals == 1
    assert parsed.attributes == parsed.memberships == parsed.dead_letters == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"outcome": "delivred"}, "unknown_shape"),
        ({"field": None}, "unknown_shape"),
        ({"outreach_id": "x"}, "identity_invalid"),
        ({"event_time": "soon"}, "time_invalid"),
        ({"value": {"a": 1}}, "value_invalid"),
    ],
)
def test_a_receipt_that_cannot_be_read_is_a_dead_letter(
    changed: dict[str, Any], reason: str
) -> None:
    (letter,) = read(**changed).dead_letters

    assert letter.reason == reason
