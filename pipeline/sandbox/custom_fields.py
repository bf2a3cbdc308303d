"""Custom fields as an administrator of Outreach sets them up: labels, types, options.

The types and the shape of ``GET /api/v2/types`` are those that Outreach's OpenAPI
description documents (read in August 2026). Two things nobody says are decided here:
a field's own greatest length is published as ``maxLength`` beside the documented keys,
and a typed value is kept, and answered, as text, since the attribute is published as a
string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Final, NamedTuple

from pipeline.sandbox.fields import (
    FIELDS,
    ResourceKind,
    invalid,
    is_date,
    is_instant,
    too_long,
)
from transforms.outreach.fields import CUSTOM_FIELDS, CUSTOM_MAX_LENGTH


class CustomField(NamedTuple):
    """One custom field's set-up.

    Attributes:
      kind: ``prospect`` or ``account``.
      name: such as ``custom4``.
      label: what people read instead.
      type: one of `TYPES`.
      definition: a picklist's options, or a currency.
      required: whether it may not be cleared.
      max_length: of its text, in characters.
    """

    kind: ResourceKind
    name: str
    label: str
    type: str = "string"
    definition: tuple[str, ...] | str | None = None
    required: bool = False
    max_length: int = CUSTOM_MAX_LENGTH

    def refused(self, value: object) -> dict[str, object] | None:
        """The member of ``errors`` that a value earns here; None where it fits."""
        pointer = f"/data/attributes/{self.name}"
        if value is None:
            return invalid(f"{self.name} can't be blank.", pointer) if self.required else None
        if not TYPES[self.type](self, value):
            wanted = "included in the list" if "inclusion" in self.type else f"a valid {self.type}"
            return invalid(f"{self.name} is not {wanted}.", pointer)
        if len(str(value)) > self.max_length:
            return too_long(self.name, self.max_length, pointer)
        return None

    def validation(self) -> dict[str, object]:
        """What ``GET /api/v2/types`` says about it."""
        said: dict[str, object] = {
            "type": self.type,
            "required": self.required,
            "label": self.label,
            "definition": self.definition,
        }
        return (
            said if self.max_length == CUSTOM_MAX_LENGTH else said | {"maxLength": self.max_length}
        )


_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_URL: Final = re.compile(r"https?://[^\s/]+\S*")
_PHONE: Final = re.compile(r"\+?[0-9 ().x-]{3,40}")


def _is_number(_field: CustomField, value: object) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_one_of(field: CustomField, value: object) -> bool:
    return isinstance(value, str) and value in (field.definition or ())


def _are_of(field: CustomField, value: object) -> bool:
    chosen = value if isinstance(value, list) else [value]
    return all(_is_one_of(field, each) for each in chosen)


def _matching(pattern: re.Pattern[str]) -> Callable[[CustomField, object], bool]:
    return lambda _, value: isinstance(value, str) and pattern.fullmatch(value) is not None


TYPES: Final[Mapping[str, Callable[[CustomField, object], bool]]] = {
    "boolean": lambda _, value: isinstance(value, bool) or value in ("true", "false"),
    "currency": _is_number,
    "date": lambda _, value: is_date(value),
    "date_time": lambda _, value: is_instant(value),
    "inclusion": _is_one_of,
    "multi_inclusion": _are_of,
    "numerical": _is_number,
    "percentage": _is_number,
    "phone_number": _matching(_PHONE),
    "string": lambda _, value: isinstance(value, str),
    "url": _matching(_URL),
}
"""Outreach's validation types, each with what it takes."""

_ALIASES: Final = {"number": "numerical", "picklist": "inclusion", "text": "string"}
_SETTING: Final = re.compile(r",(?=(?:label|type|values|max_length|required)=)")

_SETTINGS: Final = frozenset({"label", "type", "values", "max_length", "required"})


def parse_field(spec: str) -> CustomField:
    """Reads ``custom4:label=Enterprise intent,type=picklist,values=realized|exited``.

    An account's field is spelled ``account.custom4:…``. ``number``, ``picklist`` and
    ``text`` stand for Outreach's ``numerical``, ``inclusion`` and ``string``.

    Raises:
      ValueError: it is not of that form; the text says what is wrong.
    """
    target, _, settings = spec.partition(":")
    given = dict(_setting(each) for each in _SETTING.split(settings) if each)
    unknown = given.keys() - _SETTINGS
    if unknown:
        raise ValueError(f"{min(unknown)!r} is none of {', '.join(sorted(_SETTINGS))}")
    kind, name = _target(target)
    kind_of_value = given.get("type", "string")
    kind_of_value = _ALIASES.get(kind_of_value, kind_of_value)
    if kind_of_value not in TYPES:
        raise ValueError(f"{kind_of_value!r} is none of {', '.join(sorted({*TYPES, *_ALIASES}))}")
    options = tuple(given["values"].split("|")) if "values" in given else None
    if "inclusion" in kind_of_value and not options:
        raise ValueError("a picklist needs its values, such as values=realized|exited")
    return CustomField(
        kind,
        name,
        given.get("label", _default_label(name)),
        kind_of_value,
        options,
        given.get("required", "false") == "true",
        int(given.get("max_length", CUSTOM_MAX_LENGTH)),
    )


def _setting(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _target(text: str) -> tuple[ResourceKind, str]:
    owner, dot, name = text.rpartition(".")
    if owner not in ("prospect", "account") and dot:
        raise ValueError(f"{owner!r} is neither prospect nor account")
    kind: ResourceKind = "account" if owner == "account" else "prospect"
    if not name.startswith("custom") or name not in FIELDS[kind]:
        raise ValueError(f"{name!r} is none of custom1 to custom{CUSTOM_FIELDS}")
    return kind, name


def _default_label(name: str) -> str:
    return f"Custom Field {name.removeprefix('custom')}"


def as_text(value: object) -> object:
    """How a custom field keeps a value: as text, as its attribute is published."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def every_field(configured: Iterable[CustomField]) -> dict[ResourceKind, dict[str, CustomField]]:
    """All custom fields of each kind, by name: as configured, or plain text."""
    fields: dict[ResourceKind, dict[str, CustomField]] = {
        kind: {
            name: CustomField(kind, name, _default_label(name))
            for name in (f"custom{number}" for number in range(1, CUSTOM_FIELDS + 1))
        }
        for kind in FIELDS
    }
    for each in configured:
        fields[each.kind][each.name] = each
    return fields


def types_document(
    fields: Mapping[ResourceKind, Mapping[str, CustomField]],
) -> dict[str, object]:
    """The document of ``GET /api/v2/types``."""
    return {
        "data": [
            {
                "type": kind,
                "meta": {"validations": {name: f.validation() for name, f in named.items()}},
            }
            for kind, named in fields.items()
        ]
    }
