"""Bulk actions and their batches, as Outreach describes them: `openapi`, "Bulk Action", `batch`.

That a body without ids is for everybody is said there, too ("default: ALL"): none may be sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.contract.prospect import INSTANT, Schema, by_name, exactly, kind

BATCH = exactly(
    {
        "type": {"const": "batch"},
        "id": {"type": "integer", "minimum": 1},
        "attributes": exactly(
            by_name(
                {
                    "action state": kind("string", maxLength=255),
                    """canceledAt confirmedAt createdAt finishedAt startedAt
                    updatedAt""": kind("string", pattern=INSTANT),
                    "confirmCount failures pending total": kind("integer"),
                    "confirmedCountRequired": kind("boolean"),
                    "externalStartPayload": kind("string"),
                    "payload": kind("object"),
                    "summary": {},
                }
            )
        ),
        "relationships": {"type": "object"},
        "links": {"type": "object"},
    },
    "type",
    "id",
    "attributes",
)


def modify(writable: Mapping[str, Schema]) -> Schema:
    """What sets one field of some records, by their ids."""
    ids = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True}
    attributes = {**exactly({**writable, "ids": ids}, "ids"), "minProperties": 2}
    return exactly(
        {"data": exactly({"attributes": attributes}, "attributes"), "type": {"type": "string"}},
        "data",
    )
