"""Flat records: one prospect, at most one membership, any attributes.

    {"outreach_id": 1234, "segment": "5114…", "status": "realized",
     "event_time": "2026-01-02T03:04:05Z", "namespace": "ups", "attributes": {…}}

In place of `outreach_id`, `email`, `external_id`, `domain` or `name` where the destination matches
by that.
`segment` and `status` may both be absent beside `attributes`; `event_time`, `namespace` and
`attributes` always. Other keys are ignored. Where ``identity.path`` names another place for the id,
it is looked for there; a source may name the segment of records that do not.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.elements import MembershipChange
from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import prospects_in
from transforms.formats.validation import (
    Refused,
    read_instant,
    read_object,
    read_segment,
    read_status,
)
from transforms.text import shown

SHAPE: Final = "a flat record (outreach_id, segment, status)"
_KEYS: Final = {"name", "domain", "event_time", "namespace", "attributes"}
"""Those of a record of attributes alone, about an account that it names."""


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    if "segmentMembership" in record or ("segment" not in record and _has_lists(record)):
        return False
    if "outreach_id" in record or ("segment" in record and "status" in record):
        return True
    if "attributes" not in record:
        return False
    return "email" in record or "external_id" in record or record.keys() <= _KEYS


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`; a bad status costs the membership but not the attributes."""
    key = reading.match
    is_alone = not reading.paths and len(reading.kinds) == 1
    if is_alone and record.get(key) is not None:
        prospects = [reading.prospect(record[key])]
    elif is_alone and key in record:
        raise Refused("identity_missing", f"{key} is empty; put the prospect's id there")
    else:
        about = record.get("attributes")
        prospects = prospects_in(reading, (record, about) if type(about) is dict else (record,))
    time = read_instant(record.get("event_time"), "event_time", reading.published)
    segment = record.get("segment") or reading.segment
    status = record.get("status") or reading.status
    if "attributes" in record:
        attributes = read_object(record["attributes"], "attributes")
        reading.add_attributes(prospects, (attributes,), time)
        if record.get("segment") is None and status is None:
            return
    namespace = record.get("namespace")
    if namespace is not None and type(namespace) is not str:
        raise Refused("unknown_shape", f"namespace is {shown(namespace)}; it must be a string")
    shared, status = reading.share(read_segment(segment)), read_status(status)
    for prospect in prospects:
        reading.memberships.append(
            MembershipChange(
                reading.arrival_id, prospect, namespace, shared, status, time, reading.sequence
            )
        )


def _has_lists(record: dict[str, Any]) -> bool:
    return type(record.get("add")) is list or type(record.get("remove")) is list
