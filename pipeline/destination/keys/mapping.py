"""The part of the destination file that says what is written where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.destination.keys.conditions import Condition
from pipeline.destination.keys.sections import Section
from pipeline.destination.types import TARGETS, AttributePath, Line, MappingId, Target, Value
from transforms.outreach.fields import OBJECTS


class Values(Section):
    """What to write for each status: the status itself where nothing is said; null clears."""

    realized: Value = Field(
        "realized",
        description="Written when a prospect enters the audience; null clears the field.",
        examples=["In audience"],
    )
    existing: Value = Field(
        "existing",
        description="Written when a prospect is found to be still in it; null clears the field.",
        examples=["In audience"],
    )
    exited: Value = Field(
        "exited",
        description="Written when a prospect leaves the audience; null clears the field.",
        examples=[None, "Left"],
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return data  # Here null is a value: it clears the field.


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class Audience(Section):
    """One audience and the custom field that shows who is in it."""

    segment: Line = Field(
        description="The audience's id where it is computed.",
        examples=["3f0c2d1e-9a47-4c58-8d13-5b6e7f809a1b"],
    )
    namespace: Line | None = Field(
        None,
        description="The segment's namespace; needed only where two use the same id.",
        examples=["ups"],
    )
    name: Line = Field(
        "",
        description="The audience's name, for people; the segment's id if left out.",
        examples=["Enterprise intent"],
        json_schema_extra=_without_default,
    )
    mapping_id: MappingId = Field(
        description="N of the prospect's Custom Field N that this audience is written to.",
        examples=[4],
    )
    values: Values = Field(
        Values(),
        examples=[{"realized": "In", "existing": "In", "exited": None}],
    )
    only_if: Condition | None = Field(
        None,
        description="Who is written at all: what must hold of the record's attributes.",
        examples=[{"source": "person.country", "in": ["US", "CA"]}],
    )

    @model_validator(mode="after")
    def _named_by_its_segment(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", self.segment)
        return self

    @property
    def field(self) -> str:
        """The prospect field this audience owns, such as ``custom4``."""
        return f"custom{self.mapping_id}"


class Attribute(Section):
    """A profile attribute that is copied to a prospect field."""

    source: AttributePath = Field(
        description="The attribute's path in the profile.", examples=["person.name.firstName"]
    )
    target: Target = Field(
        description="The prospect field it is written to.",
        examples=["firstName"],
        json_schema_extra={"enum": list(TARGETS)},
    )
    write: Literal["always", "if_empty"] = Field(
        "always",
        description="`if_empty`: only where the field holds nothing yet, which is read first.",
        examples=["if_empty"],
    )
    empty: Literal["clear", "keep"] = Field(
        "clear",
        description="What an empty attribute does: `clear` the field, or `keep` what it holds.",
        examples=["keep"],
    )


def with_match(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A destination's plain data, with the ``identity.match`` that `mode: upsert` takes for said.

    Args:
      data: as it is written; whatever is not shaped as it should be stays.
    """
    kind, identity = data.get("object"), data.get("identity")
    if data.get("mode") != "upsert" or not isinstance(kind, str) or kind not in OBJECTS:
        return data
    said = {} if identity is None else identity
    matched = OBJECTS[kind].matched
    if matched is None or not isinstance(said, dict) or said.get("match") is not None:
        return data
    return {**data, "identity": {**said, "match": matched}}
