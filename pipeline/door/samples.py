"""A record of each platform's shape, as its own test button sends one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SHAPES: Final = (
    "profile",
    "flat",
    "segment",
    "rudderstack",
    "mparticle",
    "amplitude",
    "mixpanel",
)
_NAMES: Final[Mapping[str, str]] = {
    "aep": "profile",
    "adobe": "profile",
    "experience": "profile",
    **{shape: shape for shape in SHAPES if shape != "flat"},
}


def shape_of(source: str) -> str:
    """The shape that a source of this name probably has; ``flat`` where its name says nothing."""
    return next((shape for name, shape in _NAMES.items() if name in source.lower()), "flat")


def sample(shape: str, prospect: int, segment: str, namespace: str = "Oid") -> dict[str, Any]:
    """A prospect's entry into an audience.

    Args:
      shape: one of `SHAPES`.
      prospect: its OutreachId.
      segment: the audience.
      namespace: of the OutreachId, for a profile.
    """
    now = "2026-01-02T03:04:05Z"
    record: dict[str, Any]
    match shape:
        case "profile":
            membership = {"status": "realized", "lastQualificationTime": now}
            record = {
                "identityMap": {namespace: [{"id": str(prospect)}]},
                "segmentMembership": {"ups": {segment: membership}},
            }
        case "segment":
            personas = {"computation_class": "audience", "computation_key": segment}
            record = {
                "type": "track",
                "event": "Audience Entered",
                "userId": str(prospect),
                "timestamp": now,
                "context": {"personas": personas, "traits": {"outreach_id": prospect}},
                "properties": {"audience_key": segment, segment: True},
            }
        case "rudderstack":
            lists = {"add": [{"outreach_id": prospect}], "remove": []}
            record = {"type": "audiencelist", "properties": {"listData": lists, "segment": segment}}
        case "mparticle":
            who = [{"type": "customer", "encoding": "raw", "value": str(prospect)}]
            audiences = [{"audience_id": segment, "action": "add"}]
            record = {
                "type": "audience_membership_change_request",
                "user_profiles": [{"user_identities": who, "audiences": audiences}],
            }
        case "amplitude":
            record = {
                "cohort_id": segment,
                "in_cohort": True,
                "users": [{"user_id": str(prospect)}],
            }
        case "mixpanel":
            member = {"mixpanel_distinct_id": str(prospect)}
            parameters = {"mixpanel_cohort_id": segment, "members": [member]}
            record = {"action": "add_members", "parameters": parameters}
        case _:
            record = {"outreach_id": prospect, "segment": segment, "status": "realized"}
    return record
