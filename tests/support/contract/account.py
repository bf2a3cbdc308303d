"""An account, as Outreach describes it; all of this is from `openapi`, see the package."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.contract.prospect import INSTANT, Schema, by_name, exactly, kind, text

_WRITABLE: Mapping[str, Schema] = {
    """annualRevenueRange companyType domain externalSource industry locality name naturalName
    sharingTeamId tickerSymbol websiteUrl""": text(255),
    "linkedInUrl": text(1_000),
    "description": text(65_535),
    " ".join(f"custom{number}" for number in range(1, 151)): text(32_000),
    "buyerIntentScore": kind("number"),
    "followers linkedInEmployees numberOfEmployees": kind("integer"),
    "named": kind("boolean"),
    "foundedAt": kind("string", pattern=INSTANT),
    "naicsCodes sicCodes tags": kind("array", items={"type": "string"}),
}
_READ_ONLY: Mapping[str, Schema] = {
    "createdAt touchedAt updatedAt": kind("string", pattern=INSTANT),
}
_RELATIONSHIPS = """assignedTeams assignedUsers batches creator defaultPluginMapping favorites owner
    primaryRecordTeam prospects purchases recordTeamMembers recordTeams tasks updater"""

WRITABLE = by_name(_WRITABLE)
ATTRIBUTES = (*WRITABLE, *by_name(_READ_ONLY))
"""The names of all."""

ACCOUNT = exactly(
    {
        "type": {"const": "account"},
        "id": {"type": "integer", "minimum": 1},
        "attributes": exactly(by_name(_WRITABLE, _READ_ONLY)),
        "relationships": exactly(by_name({_RELATIONSHIPS: {"type": "object"}})),
        "links": {"type": "object"},
    },
    "type",
    "id",
    "attributes",
)
