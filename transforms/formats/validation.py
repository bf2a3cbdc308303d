"""What every format checks alike: ids, segments, statuses, times, attribute values.

Each function returns what it read or raises `Refused`, which costs only the part at hand.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, Final

import orjson

from transforms.elements import STATUSES
from transforms.matching import (
    BY_DOMAIN,
    BY_EMAIL,
    BY_NAME,
    DOMAIN,
    LONGEST_NAME,
    NAME,
    folded,
)
from transforms.text import did_you_mean, shown
from transforms.times import parse_time

_STATUSES: Final = {status: status for status in STATUSES}
_IDS_BELOW: Final = 2**63
_EXACT_BELOW: Final = 2**53
_LONGEST_ID: Final = 40
_ID: Final = re.compile(r"\s*[0-9]+(?:\.0+)?\s*", re.ASCII)
_LONGEST_STATUS: Final = 40
_LONGEST_EMAIL: Final = 320
_LONGEST_EXTERNAL_ID: Final = 255
_EMAIL: Final = re.compile(r"\s*[^\s@,;]+@[^\s@,;]+\s*")


class Refused(Exception):  # noqa: N818 - a verdict on what arrived, not a fault of ours
    """An arrival, or a part of it, that cannot be read.

    Attributes:
      reason: the dead letter's code.
      detail: what was found, and what mends it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def read_outreach_id(value: object) -> int:
    """An OutreachId: a positive integer below 2**63, as a number or a string of digits.

    A string may have blanks around it and end in ``.0``, as spreadsheets and pandas write a column
    of integers that has gaps.

    Raises:
      Refused: ``identity_invalid``.
    """
    if type(value) is str and len(value) <= _LONGEST_ID and _ID.fullmatch(value):
        number: object = int(value.strip().partition(".")[0])
    elif type(value) is float and value.is_integer() and value < _EXACT_BELOW:
        number = int(value)  # as exporters write a column of integers that has gaps
    else:
        number = value
    if type(number) is int and 0 < number < _IDS_BELOW:
        return number
    raise Refused(
        "identity_invalid",
        f"{shown(value)} is not an OutreachId; it must be a positive integer, as a number or a "
        "string of digits",
    )


def read_email(value: object) -> str:
    """An e-mail address, as `transforms.directory.folded`.

    Raises:
      Refused: ``identity_invalid``.
    """
    if type(value) is str and len(value) <= _LONGEST_EMAIL and _EMAIL.fullmatch(value):
        return folded(value)
    raise Refused("identity_invalid", f"{shown(value)} is not an e-mail address")


def read_external_id(value: object) -> str:
    """An id of another system's: text of up to 255 characters, or a whole number.

    Raises:
      Refused: ``identity_invalid``.
    """
    if type(value) is float and value.is_integer() and abs(value) < _EXACT_BELOW:
        value = int(value)
    text = str(value) if type(value) is int else value
    if type(text) is str and 0 < len(text.strip()) <= _LONGEST_EXTERNAL_ID:
        return text.strip()
    raise Refused(
        "identity_invalid", f"{shown(value)} is not an external id; it must be text or a number"
    )


def read_domain(value: object) -> str:
    """An account's domain, as `transforms.matching.folded_domain`.

    Raises:
      Refused: ``identity_invalid``.
    """
    domain = DOMAIN.fold(value) if type(value) is str else ""
    if domain:
        return domain
    raise Refused(
        "identity_invalid", f"{shown(value)} is not a domain; it must be one such as acme.com"
    )


def read_name(value: object) -> str:
    """An account's name, as it is spelled, without the blanks around it.

    Raises:
      Refused: ``identity_invalid``.
    """
    if type(value) is str and 0 < len(value.strip()) <= LONGEST_NAME:
        return value.strip()
    raise Refused(
        "identity_invalid",
        f"{shown(value)} is not an account's name; it must be text of up to {LONGEST_NAME}"
        " characters",
    )


def read_key(kind: str, value: object) -> tuple[str, str]:
    """A key of a kind, and how it was spelled; the latter empty where that is the key itself.

    Raises:
      Refused: ``identity_invalid``.
    """
    if kind == BY_EMAIL:
        return read_email(value), ""
    if kind == BY_DOMAIN:
        return read_domain(value), ""
    if kind == BY_NAME:
        name = read_name(value)
        key = NAME.key(name)
        return key, "" if name == NAME.text(key) else name
    return read_external_id(value), ""


def read_segment(value: object) -> str:
    """A segment's id: text that is not empty, or a number as text.

    Raises:
      Refused: ``unknown_shape``.
    """
    if type(value) is str and value:
        return value
    if type(value) is int:
        return str(value)
    raise Refused("unknown_shape", f"segment is {shown(value)}; it must be the audience's id")


def read_status(value: object) -> str:
    """A membership's status, whatever its capitals and the blanks around it.

    Raises:
      Refused: ``status_unknown``.
    """
    mend = ""
    if type(value) is str:
        status = _STATUSES.get(value) or _STATUSES.get(value[:_LONGEST_STATUS].strip().lower())
        if status is not None:
            return status
        mend = did_you_mean(value[:_LONGEST_STATUS], STATUSES)
    raise Refused(
        "status_unknown", f"status {shown(value)} is not one of {', '.join(STATUSES)}{mend}"
    )


def read_instant(value: object, name: str, otherwise: int | None) -> int | None:
    """The time under a key, or, where it is absent or null, that of records without one.

    Raises:
      Refused: ``time_invalid``.
    """
    if value is None:
        return otherwise
    try:
        return parse_time(value)
    except ValueError as error:
        raise Refused("time_invalid", f"{name}: {error}") from None


def read_object(value: object, name: str) -> dict[str, Any]:
    """The object under a key; an empty one where it is absent or null.

    Raises:
      Refused: ``unknown_shape``.
    """
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise Refused("unknown_shape", f"{name} is {shown(value)}; it must be an object")


def read_value(value: object) -> str:
    """An attribute's value, a scalar or a list of them, as JSON text.

    Raises:
      Refused: ``value_invalid``: it is anything else, or an integer so large that reading
        it lost digits.
    """
    for part in value if type(value) is list else (value,):
        if isinstance(part, list | dict):
            raise Refused(
                "value_invalid",
                f"{'its value' if part is value else 'its list'} "
                f"{'is' if part is value else 'holds'} {shown(part)}; a field takes a string, "
                "a number, true or false, null, or a list of these",
            )
        if type(part) is float and not isfinite(part):
            raise Refused(
                "value_invalid", f"{shown(part)} is no number; send null to clear the field"
            )
        if type(part) is float and not -_IDS_BELOW < part < _IDS_BELOW:
            raise Refused(
                "value_invalid", f"{shown(part)} is too large to be exact; send it as a string"
            )
    return orjson.dumps(value).decode()
