"""The keys of the destination file that say who is written at all."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from pipeline.destination.error_text import RefusalError
from pipeline.destination.keys.sections import Section
from pipeline.destination.types import AttributePath
from transforms import conditions
from transforms.text import shown

Scalar = str | int | float | bool
DEEPEST = 8
"""Groups within groups."""

_TESTS = ("in", "equals", "exists")
_KINDS = ("all", "any", "source")


class Condition(Section):
    """One test of an attribute (`source` with `in`, `equals` or `exists`), or several of them."""

    model_config = ConfigDict(populate_by_name=True)

    all: tuple[Condition, ...] = Field(
        (),
        strict=False,
        description="Conditions that must all hold.",
        examples=[[{"source": "person.country", "in": ["US", "CA"]}]],
    )
    any: tuple[Condition, ...] = Field(
        (),
        strict=False,
        description="Conditions of which one must hold.",
        examples=[[{"source": "person.country", "equals": "US"}]],
    )
    source: AttributePath | None = Field(
        None,
        description="The attribute that is looked at, by its path in the record.",
        examples=["person.country"],
    )
    one_of: tuple[Scalar, ...] = Field(
        (),
        strict=False,
        alias="in",
        description="Values, one of which the attribute must have; capitals make no difference.",
        examples=[["US", "CA"]],
    )
    equals: Scalar | None = Field(
        None,
        description="The value that the attribute must have; capitals make no difference.",
        examples=["US"],
    )
    exists: bool | None = Field(
        None,
        description="Whether the attribute must hold something, or must not.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> Condition:
        kinds = [kind for kind in _KINDS if getattr(self, kind)]
        tests = [
            name
            for name, given in (
                ("in", bool(self.one_of)),
                ("equals", self.equals is not None),
                ("exists", self.exists is not None),
            )
            if given
        ]
        if len(kinds) != 1:
            said = " and ".join(kinds) or "none of them"
            raise RefusalError(
                f"has {said}, and must have one of all, any and source",
                "write one of them, and groups within groups for more",
            )
        if self.source is None and tests:
            raise RefusalError(f"has {tests[0]} without source", "name the attribute as source")
        if self.source is not None and len(tests) != 1:
            said = " and ".join(tests) or "none of them"
            raise RefusalError(
                f"tests {shown(self.source)} by {said}", "write one of in, equals and exists"
            )
        if self.depth > DEEPEST:
            raise RefusalError(f"is over {DEEPEST} groups deep", "write it flatter")
        return self

    @property
    def depth(self) -> int:
        """Groups within groups."""
        return 1 + max((part.depth for part in (*self.all, *self.any)), default=0)

    def as_rule(self) -> conditions.Condition:
        """As the stages take it."""
        if self.source is None:
            parts = tuple(part.as_rule() for part in self.all or self.any)
            return conditions.Group(parts, bool(self.all))
        if self.exists is not None:
            return conditions.Test(self.source, exists=self.exists)
        values: tuple[Any, ...] = self.one_of or (self.equals,)
        return conditions.Test(self.source, values)
