"""Records of each shape, and what they are read as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from transforms.elements import Block, DeadLetter
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
