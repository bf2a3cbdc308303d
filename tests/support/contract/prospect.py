"""A prospect, as Outreach describes it: what may be written to it, and what is read of it.

All of this is from `openapi`; see `tests.support.contract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
_DATE = r"^\d{4}-\d\d-\d\d$"


def exactly(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(most: int | None = None) -> Schema:
    return _kind("string") if most is None else _kind("string", maxLength=most)


def _kind(name: str, **more: object) -> Schema:
    return {"type": [name, "null"], **more}


_WRITABLE: Mapping[str, Schema] = {
    """addressCity addressCountry addressState addressStreet addressStreet2 addressZip
    angelListUrl callsOptStatus campaignName degree emailsOptStatus eventName externalId
    externalOwner externalSource facebookUrl firstName gender githubUsername googlePlusUrl
    lastName linkedInId middleName nickname occupation preferredContact quoraUrl region
    school sharingTeamId source stackOverflowId timeZone title twitterUsername""": _text(255),
    "githubUrl linkedInUrl stackOverflowUrl twitterUrl": _text(1_000),
    " ".join(f"custom{number}" for number in range(1, 151)): _text(32_000),
    """personalNote1 personalNote2 specialties
    websiteUrl1 websiteUrl2 websiteUrl3""": _text(65_535),
    "company": _text(),
    "callOptedOut emailOptedOut optedOut": _kind("boolean"),
    "linkedInConnections": _kind("integer"),
    "score": _kind("number"),
    "dateOfBirth graduationDate jobStartDate": _kind("string", pattern=_DATE),
    "addedAt availableAt trashedAt": _kind("string", pattern=INSTANT),
    "emails homePhones mobilePhones otherPhones tags voipPhones workPhones": _kind(
        "array", items={"type": "string"}
    ),
}
"""Names, in one string, to their schema; so below."""

_READ_ONLY: Mapping[str, Schema] = {
    "linkedInSlug timeZoneInferred": _text(255),
    "name timeZoneIana": _text(),
    "clickCount openCount replyCount": _kind("integer"),
    "engagedScore": _kind("number"),
    """callsOptedAt createdAt emailsOptedAt engagedAt
    optedOutAt touchedAt updatedAt""": _kind("string", pattern=INSTANT),
    "contactHistogram": _kind("array"),
}

_RELATIONSHIPS = """account activeSequenceStates assignedTeams assignedUsers batches calls creator
    defaultPluginMapping emailAddresses favorites mailings opportunities opportunityProspectRoles
    owner persona phoneNumbers sequenceStates stage tasks trashedByAccount updater"""


def _by_name(*tables: Mapping[str, Schema]) -> dict[str, Schema]:
    return {
        name: schema
        for table in tables
        for names, schema in table.items()
        for name in names.split()
    }


ATTRIBUTES = tuple(_by_name(_WRITABLE, _READ_ONLY))
"""The names of all."""

PATCH = exactly(
    {
        "data": exactly(
            {
                "type": {"const": "prospect"},
                "id": {"type": "integer"},
                "attributes": exactly(_by_name(_WRITABLE)),
                "relationships": {"type": "object"},
            },
            "type",
            "id",
        )
    },
    "data",
)

PROSPECT = exactly(
    {
        "type": {"const": "prospect"},
        "id": {"type": "integer", "minimum": 1},
        "attributes": exactly(_by_name(_WRITABLE, _READ_ONLY)),
        "relationships": exactly(_by_name({_RELATIONSHIPS: {"type": "object"}})),
        "links": {"type": "object"},
    },
    "type",
    "id",
    "attributes",
)
