"""The fields of prospects and accounts, and what Outreach refuses to put into them.

Strict where `transforms.outreach.fields.fit` is kind: the type must be the published
one. The account's attributes are those of Outreach's OpenAPI description of API v2,
read in August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final, Literal

from pipeline.sandbox.responses import error
from transforms.outreach.fields import (
    ACCOUNT_FIELDS,
    PROSPECT_FIELDS,
    Field,
    Kind,
)

ResourceKind = Literal["prospect", "account"]

FIELDS: Final[Mapping[ResourceKind, Mapping[str, Field]]] = {
    "prospect": PROSPECT_FIELDS,
    "account": ACCOUNT_FIELDS,
}

FILTERABLE: Final[Mapping[ResourceKind, frozenset[str]]] = {
    "prospect": frozenset(
        {
            "emails",
            "externalSource",
            "firstName",
            "githubUsername",
            "lastName",
            "linkedInId",
            "linkedInSlug",
            "sharingTeamId",
            "stackOverflowId",
            "timeZone",
            "title",
            "twitterUsername",
        }
    ),
    "account": frozenset({"buyerIntentScore", "domain", "name", "named", "sharingTeamId"}),
}
"""Attributes besides ``id`` that ``filter[…]`` takes; a custom field is never one."""

TIMES: Final = frozenset({"createdAt", "updatedAt"})
"""Attributes whose filter is a range, such as ``2026-01-02T00:00:00Z..inf``."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}.*")


def is_date(value: object) -> bool:
    """Whether it is YYYY-MM-DD and a day of the calendar."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_instant(value: object) -> bool:
    """Whether it is an ISO 8601 date and time."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_IS: Final[Mapping[Kind, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
    "date": is_date,
    "date-time": is_instant,
    "array-of-strings": lambda value: (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    ),
    "array": lambda value: isinstance(value, list),
}


def refused(field: Field, value: object) -> dict[str, object] | None:
    """The member of ``errors`` that a value earns in a field; None where it fits.

    A read-only attribute is refused as a validation error: which status production
    gives it, Outreach does not say.
    """
    pointer = f"/data/attributes/{field.name}"
    if not field.writable:
        return invalid(f"{field.name} is read-only.", pointer)
    if value is None:
        return None
    if not _IS[field.kind](value):
        return invalid(f"{field.name} is not a valid {field.kind}.", pointer)
    if field.max_length is not None and len(str(value)) > field.max_length:
        return too_long(field.name, field.max_length, pointer)
    return None


def invalid(detail: str, pointer: str) -> dict[str, object]:
    """A ``validationError``."""
    return error("validationError", "Validation Error", detail, pointer)


def too_long(name: str, max_length: int, pointer: str) -> dict[str, object]:
    """A ``validationDataTooLongError``."""
    detail = f"{name} is too long (maximum is {max_length} characters)."
    return error("validationDataTooLongError", "Validation Data Too Long Error", detail, pointer)
