"""Three audiences and their fields, a line of one, and what a sandbox then holds of them."""

from __future__ import annotations

import json

from pipeline.sandbox.server import Sandbox
from tests.support.data.trace import segments

SEGMENTS = segments(3)
FIELDS = {segment: f"custom{number}" for number, segment in enumerate(SEGMENTS, 4)}
NUMBERS = {segment: number for number, segment in enumerate(SEGMENTS, 4)}
MOMENT = "2026-01-02T03:04:05Z"


def line(prospect: object, segment: str = SEGMENTS[0], status: str = "realized") -> str:
    return json.dumps(
        {"outreach_id": prospect, "segment": segment, "status": status, "event_time": MOMENT}
    )


def values(sandbox: Sandbox) -> dict[int, dict[str, object]]:
    """What the fields of audiences hold, where they hold something."""
    held = {
        prospect: {field: attributes.get(field) for field in FIELDS.values()}
        for prospect, attributes in sandbox.prospects().items()
    }
    filled = {
        prospect: {field: value for field, value in fields.items() if value is not None}
        for prospect, fields in held.items()
    }
    return {prospect: fields for prospect, fields in filled.items() if fields}


def patches(sandbox: Sandbox) -> list[int]:
    """Statuses of the answers to PATCH, in order."""
    return [one.status for one in sandbox.requests() if one.method == "PATCH"]
