"""What mends each reason of dead letters, in a sentence or two; docs/formats.md has them all."""

from __future__ import annotations

from typing import Final

_AT_ITS_SOURCE: Final = "Mend it at its source."
REMEDIES: Final = {
    "not_found": "The prospect was deleted, merged, or is not visible to this user: remove it at"
    " the source, or give the user access.",
    "field_refused": "Outreach refuses the value: change the field's type or picklist, or values in"
    " the destination.",
    "not_kept": "The field holds something else after the write: look at its type, and who else"
    " writes it.",
    "value_invalid": "The value does not fit its field: map it to another one.",
    "identity_missing": "Export the OutreachId, or name its place as identity in the destination.",
    "identity_invalid": "Another system's id is exported under that name.",
    "identity_ambiguous": "Several prospects have it: merge them in Outreach, and replay it.",
    "prospect_unknown": "No prospect has this address or external id: replay it once there is one.",
    "account_unknown": "No account has the domain: replay it when one has, or write mode: upsert.",
    "account_ambiguous": "Several accounts have the domain: merge them in Outreach, and replay it.",
    "segment_missing": "Name the audience as segment of the source.",
    "contradictory": f"The record says two things. {_AT_ITS_SOURCE}",
    "not_json": f"The line or message is no JSON. {_AT_ITS_SOURCE}",
    "not_csv": "Quotes, encoding or the number of cells is wrong: mend the row.",
    "unknown_shape": "The record is of no known shape: docs/formats.md has those that are.",
    "status_unknown": "A status is realized, existing or exited.",
    "time_invalid": "The time is none that is read: docs/formats.md has those that are.",
    "forbidden": "Governance keeps the prospect from the user: ask Outreach's administrator.",
    "bad_request": "Outreach does not understand the request: report it, it is a bug.",
    "unavailable": "Outreach was in trouble for too long: replay the dead letters.",
    "deferred": "The job was stopped first: replay the dead letters.",
}
