"""mParticle: ``audience_membership_change_request``, and its pings and subscription notices.

    {"type": "audience_membership_change_request", "timestamp_ms": 1767323045000,
     "user_profiles": [{"user_identities": [{"type": "customer", "encoding": "raw", "value": "1"}],
                        "audiences": [{"audience_id": 456, "action": "add"}]}]}

The identity is the one whose type is ``identity.path``, or ``outreach_id``, ``customer`` or
``customerid``; one that is hashed is none.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    ENTERED,
    LEFT,
    IdPaths,
    add_memberships,
    prospects_in,
    read_list,
    segment_in,
)
from transforms.formats.validation import Refused, read_instant
from transforms.text import did_you_mean, shown

SHAPE: Final = "an mParticle request (type audience_membership_change_request)"

_CHANGES: Final = "audience_membership_change_request"
_TYPES: Final = (_CHANGES, "audience_subscription_request")
_ACTIONS: Final = {"add": ENTERED, "delete": LEFT, "remove": LEFT}
_UPDATE: Final = "attribute_update"
_ID_PATHS: Final = IdPaths(own=("customer", "customerid", "customer_id", "partner_id"))


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return record.get("type") in _TYPES


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    if record["type"] != _CHANGES:
        return
    time = read_instant(record.get("timestamp_ms"), "timestamp_ms", reading.published)
    for place, profile in enumerate(read_list(record.get("user_profiles"), "user_profiles")):
        try:
            _read_profile(profile, time, reading)
        except Refused as refused:
            reading.refuse(refused, f"user_profiles[{place}]")


def _read_profile(profile: object, time: int | None, reading: RecordContext) -> None:
    if type(profile) is not dict:
        raise Refused("unknown_shape", f"it is {shown(profile)}; it must be an object")
    identities: dict[str, Any] = {}
    for group in ("user_identities", "partner_identities"):
        for each in read_list(profile.get(group), group):
            if type(each) is dict and each.get("encoding") in (None, "raw"):
                identities.setdefault(str(each.get("type")), each.get("value"))
    prospects = prospects_in(reading, (identities, profile), _ID_PATHS)
    for segment, status in _read_audiences(profile, reading).items():
        add_memberships(reading, prospects, segment, status, time)
    attributes = profile.get("user_attributes")
    if type(attributes) is dict:
        reading.add_attributes(prospects, (attributes,), time)


def _read_audiences(profile: dict[str, Any], reading: RecordContext) -> dict[str, str]:
    """The statuses by segment; what is wrong or contradictory costs only itself."""
    said: dict[str, str] = {}
    contradictory: set[str] = set()
    for place, audience in enumerate(read_list(profile.get("audiences"), "audiences")):
        try:
            segment, status = _read_audience(audience, reading)
        except Refused as refused:
            reading.refuse(refused, f"audiences[{place}]")
            continue
        if status is not None and said.setdefault(segment, status) != status:
            contradictory.add(segment)
    for segment in sorted(contradictory):
        del said[segment]
        reading.refuse(
            Refused("contradictory", f"audience {shown(segment)} is both added and deleted")
        )
    return said


def _read_audience(audience: object, reading: RecordContext) -> tuple[str, str | None]:
    """Its segment, and the status that its action stands for; None of one that changes nothing."""
    if type(audience) is not dict:
        raise Refused("unknown_shape", f"it is {shown(audience)}; it must be an object")
    segment = segment_in(reading, (audience.get("audience_id"), audience.get("audience_name")))
    action = audience.get("action")
    if action == _UPDATE:
        return segment, None
    status = _ACTIONS.get(action.strip().lower()) if type(action) is str else None
    if status is None:
        near = did_you_mean(action[:40], tuple(_ACTIONS)) if type(action) is str else ""
        raise Refused("status_unknown", f"action {shown(action)} is none that we know{near}")
    return segment, status
