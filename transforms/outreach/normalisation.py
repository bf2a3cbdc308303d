"""Whether a field holds what was sent, though Outreach may write a typed value in its own way.

Outreach trims text, lowers e-mail addresses, formats telephone numbers, writes numbers and dates in
one form, and clears with null, an empty string or an empty list alike. None of that is a loss.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Final

from transforms.times import parse_time

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_LENGTH: Final = len("2026-01-02")
_AMOUNT: Final = re.compile(r"[^\d.,+-]*([+-]?[\d,]*\.?\d+)[^\d.,]*")
_LONGEST: Final = 64
"""Characters of the longest text that can be a number, a date or a telephone number."""


def is_same_value(field: str, sent: object, held: object) -> bool:
    """Whether a field that was sent one value and holds another holds the same thing.

    Args:
      field: the prospect attribute.
      sent: its value, as of JSON.
      held: as of JSON, too.
    """
    if _is_empty(sent) or _is_empty(held):
        return _is_empty(sent) and _is_empty(held)
    if isinstance(sent, list) or isinstance(held, list):
        return _as_set(field, sent) == _as_set(field, held)
    one, other = _text(sent), _text(held)
    if one == other or max(len(one), len(other)) > _LONGEST:
        return one == other
    return any(is_same(one, other) for is_same in _rules(field.lower()))


def _rules(name: str) -> Iterable[Callable[[str, str], bool]]:
    if "email" in name:
        return [lambda one, other: one.casefold() == other.casefold()]
    if "phone" in name:
        return [lambda one, other: _digits(one) == _digits(other) != ""]
    if name.endswith("url"):
        return [lambda one, other: _address(one) == _address(other)]
    return [_is_same_bool, _is_same_number, _is_same_time]


def _is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _as_set(field: str, value: object) -> set[str]:
    items = value if isinstance(value, list) else [value]
    texts = (_text(item) for item in items)
    return {text.casefold() if "email" in field.lower() else text for text in texts}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(str(value).split())


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _address(text: str) -> str:
    return re.sub(r"^https?://(www\.)?", "", text.casefold()).rstrip("/")


def _is_same_bool(one: str, other: str) -> bool:
    words = {"true", "false"}
    return one.casefold() == other.casefold() and one.casefold() in words


def _is_same_number(one: str, other: str) -> bool:
    first, second = _number(one), _number(other)
    return first is not None and first == second


def _number(text: str) -> Decimal | None:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    try:
        return Decimal(found[1].replace(",", ""))
    except InvalidOperation:
        return None


def _is_same_time(one: str, other: str) -> bool:
    """Whether two texts are one instant, or a date and an instant of that day."""
    if not (_DATE.match(one) and _DATE.match(other)):
        return False
    if _DATE_LENGTH in (len(one), len(other)):
        return one[:_DATE_LENGTH] == other[:_DATE_LENGTH]
    try:
        return parse_time(one) == parse_time(other)
    except ValueError:
        return False
