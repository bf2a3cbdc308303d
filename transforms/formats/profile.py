"""Experience Platform profiles, as its HTTP, file and streaming destinations export them.

{"identityMap": {"Oid": [{"id": "1234"}]},
 "segmentMembership": {"ups": {"5114…": {"status": "realized",
                                         "lastQualificationTime": "2026-01-02T03:04:05Z"}}},
 "person": {"name": {"firstName": "…"}}, "attributes": {"city": {"value": "…"}}}
"""

from __future__ import annotations

from typing import Any, Final

from transforms.elements import MembershipChange
from transforms.formats.context import RecordContext
from transforms.formats.platforms.members import NAMES
from transforms.formats.validation import (
    Refused,
    read_instant,
    read_object,
    read_segment,
    read_status,
)
from transforms.text import listed, shown

SHAPE: Final = "an Experience Platform profile (segmentMembership, identityMap)"


def matches(record: dict[str, Any]) -> bool:
    """See `Format`."""
    return "segmentMembership" in record or "identityMap" in record


def read(record: dict[str, Any], reading: RecordContext) -> None:
    """See `Format`; a bad membership, id or attribute costs only itself."""
    prospects = _read_prospects(record, reading)
    if not prospects:
        return
    newest = _read_memberships(record, prospects, reading)
    attributes = record.get("attributes")
    places = (record, attributes) if type(attributes) is dict else (record,)
    reading.add_attributes(prospects, places, reading.published if newest is None else newest)


def _read_prospects(record: dict[str, Any], reading: RecordContext) -> list[int]:
    identities = read_object(record.get("identityMap"), "identityMap")
    kind, namespace, ids = reading.match, reading.identity, _ids(identities, reading.identity)
    for other in reading.kinds[1:]:
        if not ids:
            kind, namespace, ids = other, other, _ids(identities, other)
    if not ids:
        raise Refused(
            "identity_missing",
            f"identityMap has no id in the namespace {reading.identity!r}; the namespaces there "
            f"are: {listed(identities)}. Export the {NAMES[reading.match]} in that namespace, or "
            "name another as identity.namespace in the destination file",
        )
    prospects: dict[int, None] = {}  # an ordered set: an id that is there twice counts once
    for entry in ids:
        try:
            named = entry.get("id") if type(entry) is dict else entry
            prospects[reading.prospect_by(kind, named)] = None
        except Refused as refused:
            reading.refuse(refused, f"identityMap.{namespace}")
    return list(prospects)


def _ids(identities: dict[str, Any], namespace: str) -> list[Any]:
    found = identities.get(namespace)
    if found is None:
        folded = namespace.casefold()
        found = [
            entry
            for name, entries in identities.items()
            if name.casefold() == folded
            for entry in _as_list(entries)
        ]
    return _as_list(found)


def _as_list(entries: object) -> list[Any]:
    if type(entries) is list:
        return entries
    return [] if entries is None else [entries]


def _read_memberships(
    record: dict[str, Any], prospects: list[int], reading: RecordContext
) -> int | None:
    """Adds the memberships; returns the newest of their valid times."""
    newest: int | None = None
    for namespace, segments in read_object(
        record.get("segmentMembership"), "segmentMembership"
    ).items():
        try:
            memberships = read_object(segments, "a namespace of segmentMembership")
        except Refused as refused:
            reading.refuse(refused, f"segmentMembership.{namespace}")
            continue
        for segment, membership in memberships.items():
            try:
                time = _read_time(membership)
                if time is not None and (newest is None or time > newest):
                    newest = time
                status = read_status(membership.get("status"))
                shared = reading.share(read_segment(segment))
            except Refused as refused:
                reading.refuse(refused, f"segmentMembership.{namespace}.{segment}")
                continue
            if time is None:
                time = reading.published
            for prospect in prospects:
                reading.memberships.append(
                    MembershipChange(
                        reading.arrival_id,
                        prospect,
                        namespace,
                        shared,
                        status,
                        time,
                        reading.sequence,
                    )
                )
    return newest


def _read_time(membership: object) -> int | None:
    if type(membership) is not dict:
        raise Refused(
            "unknown_shape", f"it is {shown(membership)}; it must be an object with a status"
        )
    return read_instant(membership.get("lastQualificationTime"), "lastQualificationTime", None)
