"""How an administrator of Outreach has set up the prospect's custom fields.

``GET /api/v2/types`` tells it: each field's label, its type, whether it may be cleared, and a
picklist's options. Types and shape are those of Outreach's OpenAPI description (read in August
2026). What it leaves open is taken in the field's favour: an answer may hold less than it
documents, a type may be new, and how exactly a number or an address is checked is not said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from transforms.outreach.fields import CUSTOM_MAX_LENGTH, PROSPECT_FIELDS, Kind, fit
from transforms.text import did_you_mean, listed

TYPES_PATH: Final = "/api/v2/types"


class FieldSetup(NamedTuple):
    """One custom field's set-up; None where it is not told.

    Attributes:
      name: such as ``custom4``.
      label: what people read instead.
      type: as Outreach spells it, such as ``inclusion`` for a picklist.
      options: of a picklist.
      required: whether it may not be cleared.
      max_length: of its text, in characters.
    """

    name: str
    label: str | None = None
    type: str | None = None
    options: tuple[str, ...] | None = None
    required: bool = False
    max_length: int = CUSTOM_MAX_LENGTH

    @property
    def described(self) -> str:
        """Its type in a word or two, for people."""
        return _WORDS.get(self.type or "", self.type or "unknown")


def read_setups(body: bytes, kind: str = "prospect") -> dict[str, FieldSetup] | None:
    """An object's custom fields by name; None where the answer does not tell them.

    Args:
      body: of an answer to ``GET /api/v2/types``.
      kind: the object, ``prospect`` or ``account``.
    """
    try:
        kinds = orjson.loads(body)["data"]
        told = next(each for each in kinds if str(each["type"]).lower() in (kind, f"{kind}s"))
        validations = told["meta"]["validations"]
        setups = {str(name): _setup(str(name), said) for name, said in validations.items()}
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    return setups or None


def _setup(name: str, said: Any) -> FieldSetup:  # noqa: ANN401 - whatever was answered
    if not isinstance(said, dict):
        return FieldSetup(name)
    label, kind, definition = said.get("label"), said.get("type"), said.get("definition")
    longest = said.get("maxLength")
    return FieldSetup(
        name,
        label if isinstance(label, str) and label.strip() else None,
        kind if isinstance(kind, str) else None,
        tuple(map(str, definition)) if isinstance(definition, list) else None,
        said.get("required") is True,
        longest if isinstance(longest, int) and longest > 0 else CUSTOM_MAX_LENGTH,
    )


def unmet(setup: FieldSetup, value: object) -> str | None:
    """Returns which requirement of a field a value does not meet; None if it fits.

    Args:
      setup: the field's.
      value: as JSON has it; null clears.

    Returns:
      Words that follow "it", such as ``takes a number``.
    """
    if value is None:
        return "is required" if setup.required else None
    takes = _TAKES.get(setup.type or "")
    wanted = takes(setup, value) if takes else None
    if wanted is None and isinstance(value, str) and len(value) > setup.max_length:
        wanted = f"at most {setup.max_length:,} characters"
    return wanted and f"takes {wanted}"


def is_known(setup: FieldSetup) -> bool:
    """Whether it is known what values the field takes."""
    return setup.type in _TAKES and not (setup.type in _PICKLISTS and setup.options is None)


_PICKLISTS: Final = frozenset({"inclusion", "multi_inclusion"})

_Takes = Callable[[FieldSetup, object], str | None]


def _one_of(setup: FieldSetup, value: object) -> str | None:
    if setup.options is None or value in setup.options:
        return None
    near = did_you_mean(value, setup.options) if isinstance(value, str) else ""
    return f"one of {listed(setup.options)}{near}"


def _some_of(setup: FieldSetup, value: object) -> str | None:
    chosen = value if isinstance(value, list) else [value]
    return next((wanted for each in chosen if (wanted := _one_of(setup, each))), None)


def _like(kind: Kind, wanted: str) -> _Takes:
    """What the prospect's own fields of a kind take; see `transforms.outreach.fields.fit`."""
    field = next(each for each in PROSPECT_FIELDS.values() if each.kind == kind)

    def takes(_: FieldSetup, value: object) -> str | None:
        try:
            fit(field, value)
        except ValueError:
            return wanted
        return None

    return takes


def _matching(pattern: str, wanted: str) -> _Takes:
    compiled = re.compile(pattern)
    return lambda _, value: None if compiled.search(str(value)) else wanted


_NUMBER: Final = _like("number", "a number")

_TAKES: Final[Mapping[str, _Takes]] = {
    "boolean": _like("boolean", "true or false"),
    "currency": _NUMBER,
    "date": _like("date", "a date such as 2026-01-31"),
    "date_time": _matching(r"^\d{4}-\d\d-\d\dT\d\d:\d\d", "a date and time"),
    "inclusion": _one_of,
    "multi_inclusion": _some_of,
    "numerical": _NUMBER,
    "percentage": _NUMBER,
    "phone_number": _matching(r"\d", "a telephone number"),
    "string": lambda _, value: "text" if isinstance(value, list | dict) else None,
    "url": _matching(r"^https?://", "an address such as https://example.com"),
}

_WORDS: Final[Mapping[str, str]] = {
    "date_time": "date and time",
    "inclusion": "picklist",
    "multi_inclusion": "picklist of several",
    "numerical": "number",
    "phone_number": "telephone number",
    "string": "text",
    "url": "address",
}
