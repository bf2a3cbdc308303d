"""Flat records: one prospect, at most one membership, any attributes.

    {"outreach_id": 1234, "segment": "5114…", "status": "realized",
     "event_time": "2026-01-02T03:04:05Z", "namespace": "ups", "attributes": {…}}

`segment` and `status` may both be absent beside `attributes`; `event_time`, `namespace` and
`attributes` always. Other keys are ignored.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.elements import MembershipChange
from transforms.formats.context import RecordContext
from transforms.formats.validation import (
    Refused,
    read_instant,
    read_object,
    read_outreach_id,
    read_segment,
    read_status,
)
from transforms.text import shown

SHAPE: Final = "a flat record (outreach_id, segment, status)"


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return "outreach_id" in record and "segmentMembership" not in record


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`; a bad status costs the membership but not the attributes."""
    if record["outreach_id"] is None:
        raise Refused("identity_missing", "outreach_id is empty; put the prospect's id there")
    prospect = read_outreach_id(record["outreach_id"])
    time = read_instant(record.get("event_time"), "event_time", reading.published)
    segment = record.get("segment")
    status = record.get("status")
    if "attributes" in record:
        attributes = read_object(record["attributes"], "attributes")
        reading.add_attributes((prospect,), (attributes,), time)
        if segment is None and status is None:
            return
    namespace = record.get("namespace")
    if namespace is not None and type(namespace) is not str:
        raise Refused("unknown_shape", f"namespace is {shown(namespace)}; it must be a string")
    reading.memberships.append(
        MembershipChange(
            reading.arrival_id,
            prospect,
            namespace,
            reading.share(read_segment(segment)),
            read_status(status),
            time,
            reading.sequence,
        )
    )
