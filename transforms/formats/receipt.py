"""Receipts written by this tool, read as a memory of what was delivered.

    {"change_id": "…", "outreach_id": 1, "field": "custom4", "value": "realized",
     "event_time": "2026-01-02T03:04:05Z", "outcome": "delivered", …}

What was delivered, or was so already, says what a field holds: it is remembered, nothing is sent
and no receipt is written for it. Other outcomes say nothing of what Outreach holds, so that a
receipt with one of them counts as a record and gives nothing.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.elements import (
    DELIVERED,
    FROM_RECEIPT,
    NOT_EMPTY,
    OUTCOMES,
    UNCHANGED,
    AttributeChange,
)
from transforms.formats.context import RecordContext
from transforms.formats.dead_letter import arrival_id_of
from transforms.formats.validation import Refused, read_instant, read_outreach_id, read_value
from transforms.text import did_you_mean, shown

SHAPE: Final = "a receipt of this tool (change_id, field, outcome)"


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return "change_id" in record and "outcome" in record and "field" in record


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    outcome, field = record["outcome"], record["field"]
    if outcome not in OUTCOMES:
        mend = did_you_mean(outcome[:40], OUTCOMES) if type(outcome) is str else ""
        raise Refused(
            "unknown_shape",
            f"outcome {shown(outcome)} is not one of {', '.join(OUTCOMES)}{mend}",
        )
    if outcome not in (DELIVERED, UNCHANGED) or record.get("reason") == NOT_EMPTY:
        return
    if type(field) is not str or not field:
        raise Refused("unknown_shape", f"field is {shown(field)}; it must be the prospect's field")
    prospect = read_outreach_id(record.get("outreach_id"))
    reading.attributes.append(
        AttributeChange(
            arrival_id_of(record["change_id"], prospect, field, reading.arrival_id),
            prospect,
            FROM_RECEIPT + field,
            read_value(record.get("value")),
            # Not the time of publication: that is the receipt's, and the change may be older.
            read_instant(record.get("event_time"), "event_time", None),
            reading.sequence,
        )
    )
