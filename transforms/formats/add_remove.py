"""Lists of audiences that a prospect enters and leaves, as destination templates write them.

{"outreach_id": 1234, "add": ["5114…"], "remove": ["59bd…"],
 "event_time": "2026-01-02T03:04:05Z", "attributes": {…}}
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    ENTERED,
    LEFT,
    add_memberships,
    prospects_in,
    read_list,
)
from transforms.formats.validation import Refused, read_instant, read_object, read_segment
from transforms.text import shown

SHAPE: Final = "lists of audiences (outreach_id, add, remove)"


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    if "segmentMembership" in record or "identityMap" in record:
        return False
    return type(record.get("add")) is list or type(record.get("remove")) is list


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`; an audience in both lists costs only itself."""
    time = read_instant(record.get("event_time"), "event_time", reading.published)
    prospects = prospects_in(reading, (record,))
    lists = {
        status: dict.fromkeys(_segment(each) for each in read_list(record.get(key), key))
        for key, status in (("add", ENTERED), ("remove", LEFT))
    }
    both = lists[ENTERED].keys() & lists[LEFT].keys()
    for segment in sorted(both):
        reading.refuse(Refused("contradictory", f"{shown(segment)} is both in add and in remove"))
    for status, segments in lists.items():
        for segment in segments:
            if segment not in both:
                add_memberships(reading, prospects, segment, status, time)
    attributes = read_object(record.get("attributes"), "attributes")
    reading.add_attributes(prospects, (attributes,), time)


def _segment(entry: object) -> str:
    return read_segment(entry.get("id") if type(entry) is dict else entry)
