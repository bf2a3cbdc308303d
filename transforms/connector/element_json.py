"""Encodes elements of a Beam user's own collections as the bytes of an arrival.

Text and bytes stand for themselves, as does a row of one column of them. A dictionary or any
other row is a record: its JSON is read like that of a line, so that one set of rules holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import orjson
from apache_beam import Row
from apache_beam.typehints import typehints
from apache_beam.utils.timestamp import Timestamp

from transforms.elements import Block, Change, Outcome, Patch, Receipt

_NEVER: Final = (int, float, complex, type(None), Block, Change, Patch, Outcome, Receipt)
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_ID: Final = "outreach_id"


class UnwritableError(Exception):
    """An element that no JSON can be made of."""


def arrival_of(element: object) -> bytes:
    """The bytes that an element stands for; whether they are a record is not asked here.

    Raises:
      UnwritableError: no JSON can be made of it; says why.
    """
    columns = _columns(element)
    if columns is not None:
        element = columns
        if len(columns) == 1:
            ((name, value),) = columns.items()
            # As Beam YAML's ReadFromText and ReadFromPubSub give them.
            if isinstance(value, bytes | str) and name != _ID:
                element = value
    if isinstance(element, bytes):
        return element
    try:
        if isinstance(element, str):
            return element.encode()
        return orjson.dumps(element, _plain, _OPTIONS)
    except (orjson.JSONEncodeError, UnicodeEncodeError) as problem:
        raise UnwritableError(str(problem)) from None


def _columns(element: object) -> dict[str, Any] | None:
    if isinstance(element, Row):
        columns: Mapping[str, Any] = element.as_dict()
    elif isinstance(element, tuple) and hasattr(element, "_asdict"):
        columns = element._asdict()
    elif isinstance(element, Mapping):
        columns = element
    else:
        return None
    # What a data frame lacks it shows as NaN, which is no value and must not clear a field.
    return {
        name: _columns(value) if isinstance(value, dict) else value
        for name, value in columns.items()
        if not _is_nan(value)
    }


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: object) -> object:
    """Returns the JSON form of a value of a type that JSON does not know."""
    columns = _columns(value)
    if columns is not None:
        return columns
    if isinstance(value, Timestamp):
        return value.to_rfc3339()
    if isinstance(value, date):  # as is every time of day on one
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON")


def refuse_type(stage: str, element_type: object) -> None:
    """Checks, when a pipeline is built, that elements are not of a kind that is never read.

    Beam guesses many types, and some of them wrongly; so only what is surely a slip is refused.

    Args:
      stage: whose input they are, for the message.
      element_type: of a collection, as Beam knows it.

    Raises:
      TypeError: they are; says what can be read.
    """
    is_pair = isinstance(element_type, typehints.TupleConstraint)
    if is_pair or (isinstance(element_type, type) and issubclass(element_type, _NEVER)):
        raise TypeError(
            f"{stage} takes bytes or text, dictionaries or rows of a flat record, or changes that "
            f"were read before; this collection is of {element_type}"
        )
