"""Segment (Twilio Engage): track *Audience Entered* and *Audience Exited*, and identify.

    {"type": "track", "event": "Audience Entered", "userId": "1234",
     "context": {"personas": {"computation_class": "audience", "computation_key": "vip"}},
     "properties": {"audience_key": "vip", "vip": true}, "timestamp": "2026-01-02T03:04:05Z"}
    {"type": "identify", "userId": "1234", "traits": {"vip": false}, "context": {"personas": {…}}}

The audience is found by ``computation_key``, ``audience_key`` or ``computation_id``, whichever the
destination maps. A journey step and a computed trait are no memberships.
"""

from __future__ import annotations

from typing import Any, Final

from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import (
    ENTERED,
    LEFT,
    IdPaths,
    add_memberships,
    boolean,
    prospects_in,
    segment_in,
)
from transforms.formats.validation import Refused, read_instant
from transforms.text import listed, shown

SHAPE: Final = "a Segment event (type, context.personas)"

_EVENTS: Final = {"audience entered": ENTERED, "audience exited": LEFT}
_ID_PATHS: Final = IdPaths(within=("context.traits", "traits", "properties"), own=("userId",))


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    if record.get("type") not in ("track", "identify"):
        return False
    context = record.get("context")
    return (type(context) is dict and type(context.get("personas")) is dict) or _event(
        record
    ) in _EVENTS


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`."""
    personas = _object(_object(record.get("context")).get("personas"))
    if personas.get("computation_class") not in (None, "audience"):
        return
    traits = _object(record.get("traits" if record["type"] == "identify" else "properties"))
    named = [personas.get("computation_key"), traits.get("audience_key")]
    said = _said(traits, named)
    if record["type"] == "track":
        status = _EVENTS.get(_event(record))
        if status is None:
            return  # An event of another kind.
        if said is not None and (ENTERED if said else LEFT) != status:
            raise Refused(
                "contradictory",
                f"the event is {shown(record['event'])}, and the trait says {str(said).lower()}",
            )
    else:
        if said is None:
            name, said = _only_boolean(traits)
            named.append(name)
        status = ENTERED if said else LEFT
    segment = segment_in(reading, [*named, personas.get("computation_id")])
    time = read_instant(
        record.get("timestamp") or record.get("originalTimestamp"), "timestamp", reading.published
    )
    prospects = prospects_in(reading, (record,), _ID_PATHS)
    add_memberships(reading, prospects, segment, status, time)
    about = _object(_object(record.get("context")).get("traits"))
    reading.add_attributes(prospects, (traits, about, record), time)


def _event(record: dict[str, Any]) -> str:
    event = record.get("event")
    return event.strip().lower() if type(event) is str else ""


def _said(traits: dict[str, Any], named: list[object]) -> bool | None:
    """What the audience's own trait says, if it is there."""
    for name in named:
        if type(name) is str and name in traits:
            return boolean(traits[name])
    return None


def _only_boolean(traits: dict[str, Any]) -> tuple[str, bool]:
    found = [(name, said) for name, value in traits.items() if (said := boolean(value)) is not None]
    if len(found) != 1:
        raise Refused(
            "unknown_shape",
            f"none of the traits {listed(traits)} is the audience's, as true or false",
        )
    return found[0]


def _object(value: object) -> dict[str, Any]:
    return value if type(value) is dict else {}
