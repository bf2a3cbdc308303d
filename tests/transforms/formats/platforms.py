"""A record of a platform, read by rules that name audiences and sources."""

from __future__ import annotations

import json
from typing import Any

from transforms.elements import Block
from transforms.plan import Reading, Source
from transforms.stages.parse import Parsed, parse
from transforms.times import format_time

RULES = Reading(
    segments=frozenset({"vip", "456", "c9", "5c8e"}),
    sources=(
        Source("rudder", segment="vip"),
        Source("crm", paths=("person.crmId", "userId")),
    ),
)
AT = 1_767_323_045_000_000
"""2026-01-02T03:04:05Z."""


def read(record: object, source: str = "/changes/any", rules: Reading = RULES) -> Parsed:
    text = record if isinstance(record, bytes) else json.dumps(record).encode()
    block = Block(source, 0, [text], published=AT + 5_000_000, message_id="m")
    return parse(block, "Oid", ("plan.tier", "first_name"), AT, None, rules)


def told(parsed: Parsed) -> list[tuple[int, str, str]]:
    return [(each.outreach_id, each.segment, each.status) for each in parsed.memberships]


def times(parsed: Parsed) -> set[str]:
    return {format_time(each.event_time) for each in parsed.memberships if each.event_time}


def reasons(parsed: Parsed) -> list[str]:
    return [letter.reason for letter in parsed.dead_letters]


def track(event: str = "Audience Entered", **more: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "userId": "7",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "context": {"personas": {"computation_class": "audience", "computation_key": "vip"}},
        "properties": {"audience_key": "vip", "vip": event == "Audience Entered"},
        **more,
    }


def personas(**more: object) -> dict[str, Any]:
    return {"personas": {"computation_class": "audience", **more}}
