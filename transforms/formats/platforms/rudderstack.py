"""RudderStack: ``audiencelist`` with people to add and to remove, and ``record`` events.

    {"type": "audiencelist",
     "properties": {"listData": {"add": [{"outreach_id": 1}], "remove": [{"outreach_id": 2}]}}}
    {"type": "record", "action": "insert", "identifiers": {"outreach_id": 1}, "fields": {…}}

A ``record`` does not say which audience it is of, and neither need a list: the source's ``segment``
does.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    ENTERED,
    LEFT,
    STAYED,
    IdPaths,
    add_listed,
    add_memberships,
    prospects_in,
    read_list,
    segment_in,
)
from transforms.formats.validation import Refused, read_instant, read_object
from transforms.text import did_you_mean, shown

SHAPE: Final = "a RudderStack event (type audiencelist or record)"

_ACTIONS: Final = {"insert": ENTERED, "update": STAYED, "delete": LEFT}
_ID_PATHS: Final = IdPaths(within=("identifiers", "fields"), own=("userId", "externalId"))
_AUDIENCE_KEYS: Final = ("audienceId", "audience_id", "listId", "audienceName", "segment")


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    kind = record.get("type")
    if type(kind) is not str:
        return False
    if kind.lower() == "audiencelist":
        return True
    return kind.lower() == "record" and ("action" in record or "identifiers" in record)


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    time = read_instant(
        record.get("timestamp") or record.get("originalTimestamp"), "timestamp", reading.published
    )
    if record["type"].lower() == "audiencelist":
        properties = read_object(record.get("properties"), "properties")
        lists = read_object(properties.get("listData"), "listData")
        segment = segment_in(reading, [properties.get(key) for key in _AUDIENCE_KEYS])
        entered = read_list(lists.get("add"), "listData.add")
        left = read_list(lists.get("remove"), "listData.remove")
        add_listed(reading, entered, left, segment, time, _ID_PATHS)
        return
    action = record.get("action")
    status = _ACTIONS.get(action.strip().lower()) if type(action) is str else None
    if status is None:
        near = did_you_mean(action[:40], tuple(_ACTIONS)) if type(action) is str else ""
        raise Refused(
            "status_unknown", f"action {shown(action)} is not one of {', '.join(_ACTIONS)}{near}"
        )
    prospects = prospects_in(reading, (record,), _ID_PATHS)
    add_memberships(reading, prospects, segment_in(reading, ()), status, time)
    fields = read_object(record.get("fields"), "fields")
    reading.add_attributes(prospects, (fields, record), time)
