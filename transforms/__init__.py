"""The stages; they know nothing of flags, files or topics.

What a Beam pipeline of someone else's takes from here, each told about in docs/beam.md:

    WriteToOutreach          every stage in one: audience changes in, receipts out
    ParseAudienceChanges     bytes, text, dictionaries or rows to changes
    MapToFields              changes of memberships and attributes to changes of fields
    CoalesceChanges          changes of fields to one patch a prospect
    PatchProspects           patches to what became of them
    IssueReceipts            what became of changes to receipts and dead letters

They are imported when they are asked for, since Beam takes a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.budget.terms import BudgetTerms
    from transforms.connector.parse_audience_changes import (
        ParseAudienceChanges,
        ParseAudienceChangesResult,
    )
    from transforms.connector.per_element import (
        CoalesceChanges,
        CoalesceChangesResult,
        IssueReceipts,
        IssueReceiptsResult,
        MapToFields,
        MapToFieldsResult,
    )
    from transforms.connector.write_to_outreach import WriteToOutreach, WriteToOutreachResult
    from transforms.elements import (
        AttributeChange,
        Change,
        DeadLetter,
        MembershipChange,
        Outcome,
        Patch,
        Receipt,
    )
    from transforms.outreach.auth.credentials import BearerAuth, OAuthAuth, S2SAuth
    from transforms.outreach.delivery import Delivery
    from transforms.outreach.sender_pool import Access
    from transforms.plan import Attribute, Audience, OutreachUser, Plan
    from transforms.receipts import dead_letter_line, receipt_line
    from transforms.stages.patch import Kept, PatchProspects, PatchResult

_PLACES = {
    "connector.per_element": (
        "CoalesceChanges",
        "CoalesceChangesResult",
        "IssueReceipts",
        "IssueReceiptsResult",
        "MapToFields",
        "MapToFieldsResult",
    ),
    "budget.terms": ("BudgetTerms",),
    "elements": (
        "AttributeChange",
        "Change",
        "DeadLetter",
        "MembershipChange",
        "Outcome",
        "Patch",
        "Receipt",
    ),
    "outreach.auth.credentials": ("BearerAuth", "OAuthAuth", "S2SAuth"),
    "outreach.delivery": ("Delivery",),
    "outreach.sender_pool": ("Access",),
    "stages.patch": ("Kept", "PatchProspects", "PatchResult"),
    "plan": ("Attribute", "Audience", "OutreachUser", "Plan"),
    "receipts": ("dead_letter_line", "receipt_line"),
    "connector.parse_audience_changes": ("ParseAudienceChanges", "ParseAudienceChangesResult"),
    "connector.write_to_outreach": ("WriteToOutreach", "WriteToOutreachResult"),
}
_FOUND_IN = {name: f"transforms.{place}" for place, names in _PLACES.items() for name in names}

__all__ = [
    "Access",
    "Attribute",
    "AttributeChange",
    "Audience",
    "BearerAuth",
    "BudgetTerms",
    "Change",
    "CoalesceChanges",
    "CoalesceChangesResult",
    "DeadLetter",
    "Delivery",
    "IssueReceipts",
    "IssueReceiptsResult",
    "Kept",
    "MapToFields",
    "MapToFieldsResult",
    "MembershipChange",
    "OAuthAuth",
    "Outcome",
    "OutreachUser",
    "ParseAudienceChanges",
    "ParseAudienceChangesResult",
    "Patch",
    "PatchProspects",
    "PatchResult",
    "Plan",
    "Receipt",
    "S2SAuth",
    "WriteToOutreach",
    "WriteToOutreachResult",
    "dead_letter_line",
    "receipt_line",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    place = _FOUND_IN.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
