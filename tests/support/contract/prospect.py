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


def text(most: int | None = None) -> Schema:
    """Text of so many characters, or null."""
    return kind("string") if most is None else kind("string", maxLength=most)


def kind(name: str, **more: object) -> Schema:
    """A value of JSON Schema's type, or null."""
    return {"type": [name, "null"], **more}


_WRITABLE: Mapping[str, Schema] = {
    """addressCity addressCountry addressState addressStreet addressStreet2 addressZip
    angelListUrl callsOptStatus campaignName degree emailsOptStatus eventName externalId
    externalOwner externalSource facebookUrl firstName gender githubUsername googlePlusUrl
    lastName linkedInId middleName nickname occupation preferredContact quoraUrl region
    school sharingTeamId source stackOverflowId timeZone title twitterUsername""": text(255),
    "githubUrl linkedInUrl stackOverflowUrl twitterUrl": text(1_000),
    " ".join(f"custom{number}" for number in range(1, 151)): text(32_000),
    """personalNote1 personalNote2 specialties
    websiteUrl1 websiteUrl2 websiteUrl3""": text(65_535),
    "company": text(),
    "callOptedOut emailOptedOut optedOut": kind("boolean"),
    "linkedInConnections": kind("integer"),
    "score": kind("number"),
    "dateOfBirth graduationDate jobStartDate": kind("string", pattern=_DATE),
    "addedAt availableAt trashedAt": kind("string", pattern=INSTANT),
    "emails homePhones mobilePhones otherPhones tags voipPhones workPhones": kind(
        "array", items={"type": "string"}
    ),
}
"""Names, in one string, to their schema; so below."""

_READ_ONLY: Mapping[str, Schema] = {
    "linkedInSlug timeZoneInferred": text(255),
    "name timeZoneIana": text(),
    "clickCount openCount replyCount": kind("integer"),
    "engagedScore": kind("number"),
    """callsOptedAt createdAt emailsOptedAt engagedAt
    optedOutAt touchedAt updatedAt""": kind("string", pattern=INSTANT),
    "contactHistogram": kind("array"),
}

_RELATIONSHIPS = """account activeSequenceStates assignedTeams assignedUsers batches calls creator
    defaultPluginMapping emailAddresses favorites mailings opportunities opportunityProspectRoles
    owner persona phoneNumbers sequenceStates stage tasks trashedByAccount updater"""


def by_name(*tables: Mapping[str, Schema]) -> dict[str, Schema]:
    """Each name of some tables with its schema."""
    return {
        name: schema
        for table in tables
        for names, schema in table.items()
        for name in names.split()
    }


WRITABLE = by_name(_WRITABLE)
ATTRIBUTES = tuple(by_name(_WRITABLE, _READ_ONLY))
"""The names of all."""

# "prospectRelationships" there; the others are written by nobody here.
_TO_ACCOUNT = exactly({"type": {"const": "account"}, "id": {"type": "integer"}}, "type", "id")
LINKS = exactly({"account": exactly({"data": {"anyOf": [{"type": "null"}, _TO_ACCOUNT]}}, "data")})
"""What may be written of a prospect's relationships."""

PROSPECT = exactly(
    {
        "type": {"const": "prospect"},
        "id": {"type": "integer", "minimum": 1},
        "attributes": exactly(by_name(_WRITABLE, _READ_ONLY)),
        "relationships": exactly(
            {**by_name({_RELATIONSHIPS: {"type": "object"}}), **LINKS["properties"]}
        ),
        "links": {"type": "object"},
    },
    "type",
    "id",
    "attributes",
)
