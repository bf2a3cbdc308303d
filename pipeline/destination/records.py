"""The keys of the destination file that say where in a record things are found."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from pipeline.destination.error_text import RefusalError
from pipeline.destination.sections import Section
from pipeline.destination.types import Line
from transforms.formats.csv_rows import COLUMNS, Columns


def _listed(value: object) -> object:
    """One path, or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _match(value: str) -> str:
    if value in {"email", "external_id"}:
        raise RefusalError(
            "needs a directory of Outreach's prospects, which this release does not keep",
            "export the id that prospects have in Outreach, and write match: outreach_id",
        )
    if value != "outreach_id":
        raise RefusalError("must be outreach_id", "leave it out, or write match: outreach_id")
    return value


Match = Annotated[str, AfterValidator(_match), WithJsonSchema({"enum": ["outreach_id"]})]
Paths = Annotated[
    tuple[Line, ...],
    BeforeValidator(_listed),
    Field(strict=False),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Paths such as ``context.traits.outreach_id``; one may stand without a list."""


class Identity(Section):
    """Where in a profile the prospect's id is found."""

    match: Match = Field(
        "outreach_id",
        description="By what a prospect is known: the id that it has in Outreach.",
        examples=["outreach_id"],
    )
    namespace: Line = Field(
        "Oid",
        description="The identity namespace whose id is the Outreach prospect's id.",
        examples=["Oid"],
    )
    path: Paths = Field(
        (),
        description="Where the id is in records of other shapes; the first that holds something.",
        examples=["userId", ["context.traits.outreach_id", "userId"]],
    )


class ColumnNames(Section):
    """What the columns of CSV files are called, where not as here."""

    outreach_id: Line | None = Field(
        None,
        description="The column with the Outreach prospect's id.",
        examples=["Prospect ID"],
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
        named = ((ours, getattr(self, ours)) for ours in COLUMNS)
        return tuple((ours, theirs) for ours, theirs in named if theirs is not None)
