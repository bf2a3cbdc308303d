"""Coders: how elements are written between the stages and kept in state. No pickles.

Importing this module makes Beam write each element as a row: its fields in order, by
position. That is Beam's `RowCoder`, about 1.5 microseconds to write and read a `Change` again,
with two things put right that Beam 2.77 leaves to chance:

- Beam does not resolve annotations that are strings, nor ``X | None``; it would take such
  fields for any Python object and pickle them. `register` resolves them first.
- Beam finds an element's class again by an id that it draws anew in each process, so that a
  worker would meet look-alikes of the classes. `register` gives each a fixed id, and an
  `ElementCoder` carries the class with it.

A row may be read by a class with more fields at its end than it was written with: they read
as None. Any other change to an element's fields needs a new `VERSION`, and a drained job.
Sequences come back as lists.
"""

from __future__ import annotations

import types
from functools import partial
from typing import Any, Final, Union, get_type_hints

from apache_beam import coders
from apache_beam.typehints.schemas import schema_from_element_type

from transforms.elements import (
    AttributeChange,
    Block,
    Change,
    DeadLetter,
    Exclusion,
    MembershipChange,
    Outcome,
    Patch,
    Receipt,
    Unresolved,
)
from transforms.fold import Known

VERSION: Final = 1
"""Of the layout of all rows."""


class ElementCoder(coders.RowCoder):
    """Writes one kind of element as rows.

    Args:
      element: a named tuple type that was registered.
    """

    def __init__(self, element: type[Any]) -> None:
        super().__init__(schema_from_element_type(element))
        self._element = element

    @classmethod
    def from_type_hint(cls, typehint: type[Any], registry: object) -> ElementCoder:
        """Made by Beam for a collection of these elements."""
        del registry
        return cls(typehint)

    def to_runner_api_parameter(self, context: object) -> tuple[str, object, object]:
        """Travels as itself, not as a bare row, so that workers import the class."""
        return coders.Coder.to_runner_api_parameter(self, context)

    def __reduce__(self) -> tuple[type[ElementCoder], tuple[type[Any]]]:
        return ElementCoder, (self._element,)


def register(element: type[Any]) -> None:
    """Has Beam write a kind of element with an `ElementCoder` wherever its type is known.

    Args:
      element: a named tuple type, of strings, bytes, integers, floats, booleans, registered
        elements, sequences of these, or any of them or None.
    """
    element.__annotations__ = {
        name: _without_bar(hint) for name, hint in get_type_hints(element).items()
    }
    schema_id = f"outreach_activation_{element.__name__}_{VERSION}"
    element._beam_schema_id = schema_id  # noqa: SLF001 - where Beam's registry looks for it
    coders.registry.register_coder(element, ElementCoder)
    # Said now, so that a row within a row finds the class too.
    ElementCoder(element)


def _without_bar(hint: object) -> object:
    if isinstance(hint, types.UnionType):
        return Union[hint.__args__]  # noqa: UP007 - the spelling that Beam knows
    return hint


for _element in (
    Block,
    MembershipChange,
    AttributeChange,
    Change,
    Patch,
    Outcome,
    Receipt,
    DeadLetter,
    Exclusion,
    Known,
    Unresolved,
):
    register(_element)


ChangeCoder: Final = partial(ElementCoder, Change)
"""For state that holds changes."""

PatchCoder: Final = partial(ElementCoder, Patch)
"""For state that holds patches."""

KnownCoder: Final = partial(coders.TupleCoder, (coders.StrUtf8Coder(), ElementCoder(Known)))
"""For state that holds what a prospect's fields were last given: pairs of field and `Known`."""
