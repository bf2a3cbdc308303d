"""The keys of the destination file that say where in a record things are found."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from pipeline.destination.keys.sections import Section
from pipeline.destination.types import Line
from transforms.formats.csv_rows import COLUMNS, IDENTITIES, Columns
from transforms.matching import BY_ID, Match


def _listed(value: object) -> object:
    """One path, or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Paths = Annotated[
    tuple[Line, ...],
    BeforeValidator(_listed),
    Field(strict=False),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Paths such as ``context.traits.outreach_id``; one may stand without a list."""


_NAMESPACES = {BY_ID: "Oid"}
"""Where that is not what it is matched by."""


class Identity(Section):
    """Where in a profile the prospect's id is found."""

    match: Match = Field(
        BY_ID,
        description="By what records name a prospect: the id that it has in Outreach, its `email`,"
        " or the `external_id` that it has there of another system. An account is named by its id,"
        " its `domain` (or, where a record has none, its name), or its `name`.",
        examples=["outreach_id", "email", "domain"],
    )
    namespace: Line | None = Field(
        None,
        description="The identity namespace in which profiles have that; `Oid` for an id, `email`"
        " for an address.",
        examples=["Oid"],
    )
    path: Paths = Field(
        (),
        description="Where it is in records of other shapes; the first that holds something.",
        examples=["userId", ["context.traits.outreach_id", "userId"]],
    )

    @property
    def of_profiles(self) -> str:
        """The namespace in which profiles have what they are matched by."""
        return self.namespace or _NAMESPACES.get(self.match, self.match)


class Directory(Section):
    """What is known of Outreach's prospects besides what was written; kept in the ledger."""

    refresh_minutes: float = Field(
        60,
        ge=0,
        le=10_080,
        description="Minutes after which the always-on job reads what was updated in Outreach;"
        " 0 for never, unless prospects are matched by it.",
        examples=[60],
    )
    full_days: float = Field(
        7,
        gt=0,
        le=365,
        description="Days after which all prospects are read again, to notice those deleted.",
        examples=[7],
    )
    hash: bool = Field(
        False,
        description="Keep digests of e-mail addresses in place of the addresses.",
        examples=[True],
    )


class Reconciliation(Section):
    """Checks now and then that Outreach still holds what was written; needs a ledger."""

    every_hours: float = Field(
        24,
        ge=0,
        le=8_760,
        description="Hours in which the always-on job checks every prospect once, some at a time;"
        " 0 for never.",
        examples=[24],
    )
    alert_percent: float = Field(
        1,
        ge=0,
        le=100,
        description="Share of the values checked that may differ before people are alerted.",
        examples=[1],
    )


class ColumnNames(Section):
    """What the columns of CSV files are called, where not as here."""

    outreach_id: Line | None = Field(
        None,
        description="The column with the Outreach prospect's id.",
        examples=["Prospect ID"],
    )
    email: Line | None = Field(
        None, description="The column with the prospect's address.", examples=["E-mail"]
    )
    external_id: Line | None = Field(
        None,
        description="The column with the prospect's id in another system.",
        examples=["CRM ID"],
    )
    domain: Line | None = Field(
        None, description="The column with the account's domain.", examples=["Website"]
    )
    name: Line | None = Field(
        None, description="The column with the account's name.", examples=["Company"]
    )
    segment: Line | None = Field(
        None, description="The column with the audience's id.", examples=["Audience"]
    )
    status: Line | None = Field(
        None, description="The column with realized, existing or exited.", examples=["State"]
    )
    event_time: Line | None = Field(
        None, description="The column with the time of the change.", examples=["Changed at"]
    )
    namespace: Line | None = Field(
        None, description="The column with the audience's namespace.", examples=["Source"]
    )

    @property
    def pairs(self) -> Columns:
        """What is named here, as `transforms.formats.csv_rows.rename` takes it."""
        known = dict.fromkeys((*IDENTITIES, *COLUMNS))
        named = ((ours, getattr(self, ours)) for ours in known)
        return tuple((ours, theirs) for ours, theirs in named if theirs is not None)
