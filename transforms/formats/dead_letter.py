"""Dead letters written by this tool, replayed as what they hold.

    {"stage": "parse", "reason": "…", "payload": "what arrived"}
    {"stage": "deliver", "reason": "…",
     "payload": {"outreach_id": 1, "attributes": {"custom4": "realized"}, "segment": "5114…",
                 "namespace": null, "origin": "realized", "event_time": null, "change_id": "…"}}

What arrived is a string, ``{"base64": "…"}`` where it was no UTF-8, or, where a person has
mended it in place, the record itself. The objects may be strings of JSON, too, as they are
where letters went through a table whose columns have one type each. Where nobody was known by its
key, the second has that, such as ``email`` or ``domain``, in place of ``outreach_id``.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

import orjson

from transforms.elements import KEYED, AttributeChange, MembershipChange
from transforms.formats.context import RecordContext
from transforms.formats.validation import (
    Refused,
    read_instant,
    read_object,
    read_outreach_id,
    read_segment,
    read_status,
    read_value,
)
from transforms.text import shown

SHAPE: Final = "a dead letter of this tool (stage, reason, payload)"


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return (
        "payload" in record and "reason" in record and record.get("stage") in ("parse", "deliver")
    )


def read(record: dict[str, Any], reading: RecordContext) -> bytes | None:
    """See `Format`; of stage ``parse`` returns what arrived, of ``deliver`` adds the change."""
    payload = record["payload"]
    if record["stage"] == "parse":
        return _arrival(_packed(payload))
    payload = _object(payload)
    if type(payload) is not dict:
        raise Refused("unknown_shape", f"payload is {shown(payload)}; it must be the patch refused")
    _read_change(payload, reading)
    return None


def _object(payload: object) -> object:
    """The object that a string spells, if it spells one; else the payload itself."""
    if type(payload) is str and payload.lstrip().startswith("{"):
        try:
            return orjson.loads(payload)
        except ValueError:
            return payload
    return payload


def _packed(payload: object) -> object:
    """Decodes the arrival from the JSON of ``{"base64": "…"}``, which is not itself a record."""
    if type(payload) is str and payload.startswith('{"base64":'):
        found = _object(payload)
        return found if type(found) is dict and found.keys() == {"base64"} else payload
    return payload


def _arrival(payload: object) -> bytes:
    if type(payload) is str:
        return payload.encode()
    try:
        if type(payload) is dict and payload.keys() == {"base64"}:
            return b64decode(payload["base64"], validate=True)
        if type(payload) in (dict, list):
            return orjson.dumps(payload)
    except (ValueError, TypeError) as error:
        raise Refused("unknown_shape", f"payload cannot be unpacked: {error}") from None
    raise Refused("unknown_shape", f"payload is {shown(payload)}; it must be what arrived")


def _read_change(payload: dict[str, Any], reading: RecordContext) -> None:
    named = [kind for kind in reading.kinds if payload.get(kind) is not None]
    if payload.get("outreach_id") is None and named:
        prospect = reading.prospect_by(named[0], payload[named[0]])
    else:
        prospect = read_outreach_id(payload.get("outreach_id"))
    time = read_instant(payload.get("event_time"), "event_time", reading.published)
    fields = read_object(payload.get("attributes"), "attributes")
    if len(fields) != 1:
        raise Refused("unknown_shape", f"attributes holds {len(fields)} fields; it must hold one")
    ((field, value),) = fields.items()
    arrival_id = arrival_id_of(payload.get("change_id"), prospect, field, reading.arrival_id)
    segment, origin = payload.get("segment"), payload.get("origin")
    # Not the field but what it was mapped from, so that a mended destination file counts.
    if segment is not None:
        namespace = payload.get("namespace")
        reading.memberships.append(
            MembershipChange(
                arrival_id,
                prospect,
                namespace if type(namespace) is str else None,
                reading.share(read_segment(segment)),
                read_status(origin),
                time,
                reading.sequence,
                retry=True,
            )
        )
    elif type(origin) is str and origin:
        reading.attributes.append(
            AttributeChange(
                arrival_id,
                prospect,
                origin,
                read_value(value),
                time,
                reading.sequence,
                retry=True,
            )
        )
    else:
        raise Refused(
            "unknown_shape", f"origin is {shown(origin)}; it must be the attribute's path"
        )


def arrival_id_of(change_id: object, prospect: int, field: str, otherwise: str) -> str:
    """What `change_id` began with, so that mapping gives the change its old id again."""
    if type(change_id) is not str:
        return otherwise
    suffix = f"-{field}" if KEYED in change_id else f"-{prospect}-{field}"
    return (change_id.removesuffix(suffix) if change_id.endswith(suffix) else "") or otherwise
