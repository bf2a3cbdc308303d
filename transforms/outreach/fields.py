"""The fields of an Outreach prospect, and fitting a value into one of them.

What Outreach's OpenAPI description of API v2 says (read in August 2026): each
attribute's type, whether a client may write it, and its greatest length. Custom
fields are text there; an administrator may narrow one to a date, a number or a
picklist, which only the live API can tell.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from transforms.matching import ACCOUNT_KEYS, PROSPECT_KEYS, Match, NaturalKey

Kind = Literal[
    "string", "boolean", "integer", "number", "date", "date-time", "array-of-strings", "array"
]
"""``array`` holds anything; only a read-only field has that kind."""

CUSTOM_FIELDS: Final = 150
"""A prospect has custom1 to custom150."""

CUSTOM_MAX_LENGTH: Final = 32_000


class Field(NamedTuple):
    """One attribute of a prospect.

    Attributes:
      name: as Outreach spells it, such as ``firstName``.
      kind: what it holds; any field also takes null, which clears it.
      writable: whether a PATCH may carry it.
      max_length: of its text, in characters; None where none is stated.
    """

    name: str
    kind: Kind
    writable: bool
    max_length: int | None = None


_Terms = tuple[Kind, bool, int | None]

_NAMES: Final[dict[_Terms, str]] = {
    ("string", True, 255): """
        addressCity addressCountry addressState addressStreet addressStreet2 addressZip
        angelListUrl callsOptStatus campaignName degree emailsOptStatus eventName externalId
        externalOwner externalSource facebookUrl firstName gender githubUsername googlePlusUrl
        lastName linkedInId middleName nickname occupation preferredContact quoraUrl region
        school sharingTeamId source stackOverflowId timeZone title twitterUsername""",
    ("string", True, 1_000): "githubUrl linkedInUrl stackOverflowUrl twitterUrl",
    ("string", True, 65_535): """
        personalNote1 personalNote2 specialties websiteUrl1 websiteUrl2 websiteUrl3""",
    ("string", True, None): "company",
    ("string", False, 255): "linkedInSlug timeZoneInferred",
    ("string", False, None): "name timeZoneIana",
    ("boolean", True, None): "callOptedOut emailOptedOut optedOut",
    ("integer", True, None): "linkedInConnections",
    ("integer", False, None): "clickCount openCount replyCount",
    ("number", True, None): "score",
    ("number", False, None): "engagedScore",
    ("date", True, None): "dateOfBirth graduationDate jobStartDate",
    ("date-time", True, None): "addedAt availableAt trashedAt",
    ("date-time", False, None): """
        callsOptedAt createdAt emailsOptedAt engagedAt optedOutAt touchedAt updatedAt""",
    ("array-of-strings", True, None): """
        emails homePhones mobilePhones otherPhones tags voipPhones workPhones""",
    ("array", False, None): "contactHistogram",
}


_ACCOUNT_NAMES: Final[dict[tuple[Kind, bool, int | None], str]] = {
    ("string", True, 255): """
        annualRevenueRange companyType domain externalSource industry locality name
        naturalName sharingTeamId tickerSymbol websiteUrl""",
    ("string", True, 1_000): "linkedInUrl",
    ("string", True, 65_535): "description",
    ("number", True, None): "buyerIntentScore",
    ("integer", True, None): "followers linkedInEmployees numberOfEmployees",
    ("boolean", True, None): "named",
    ("date-time", True, None): "foundedAt",
    ("date-time", False, None): "createdAt touchedAt updatedAt",
    ("array-of-strings", True, None): "naicsCodes sicCodes tags",
}


def _fields(kinds: Mapping[_Terms, str]) -> Iterator[Field]:
    for (kind, writable, max_length), names in kinds.items():
        for name in names.split():
            yield Field(name, kind, writable, max_length)
    for number in range(1, CUSTOM_FIELDS + 1):
        yield Field(f"custom{number}", "string", writable=True, max_length=CUSTOM_MAX_LENGTH)


PROSPECT_FIELDS: Final[Mapping[str, Field]] = MappingProxyType({f.name: f for f in _fields(_NAMES)})
"""Every attribute of a prospect, by name."""

ACCOUNT_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {f.name: f for f in _fields(_ACCOUNT_NAMES)}
)
"""Every attribute of an account, by name."""


class OutreachObject(NamedTuple):
    """A kind of record that changes are written to: what differs between prospects and accounts.

    Attributes:
      name: as JSON:API's type has it.
      plural: as in its address, and before its scopes.
      fields: its attributes, by name.
      listed: attributes that the directory holds of each, besides the mapped ones.
      keys: by which it is looked up and created, the best first.
      matches: by what records may name it.
      matched: by what they do where one that is unknown is to be created and nothing is said;
        None where it must be said.
      title: the attribute without which none is created; None where there is no such.
    """

    name: str
    plural: str
    fields: Mapping[str, Field]
    listed: tuple[str, ...]
    keys: tuple[NaturalKey, ...]
    matches: tuple[Match, ...]
    matched: Match | None = None
    title: str | None = None

    @property
    def path(self) -> str:
        """Its address at the API."""
        return f"/api/v2/{self.plural}"

    @property
    def writable(self) -> tuple[str, ...]:
        """The attributes that a change may be written to."""
        return tuple(
            name for name, field in self.fields.items() if field.writable and name != "emails"
        )


OBJECTS: Final[Mapping[str, OutreachObject]] = {
    each.name: each
    for each in (
        OutreachObject(
            "prospect",
            "prospects",
            PROSPECT_FIELDS,
            ("emails", "externalId", "updatedAt"),
            PROSPECT_KEYS,
            ("outreach_id", "email", "external_id"),
        ),
        OutreachObject(
            "account",
            "accounts",
            ACCOUNT_FIELDS,
            ("name", "domain", "updatedAt"),
            ACCOUNT_KEYS,
            ("outreach_id", "domain", "name"),
            matched="domain",
            title="name",
        ),
    )
}
"""Prospects and accounts, by name."""
PROSPECT: Final = "prospect"


def fit(field: Field, value: object) -> object:
    """Turns a JSON value into what `field` takes, if that loses nothing.

    A number or boolean becomes text for a string field; a string that spells an
    integer, a number or a boolean becomes one; a lone value becomes a list of one.
    None passes: it clears any field.

    Raises:
      ValueError: the value is of another kind, too long, or no such date; the text
        names the field and shows the value.
    """
    return None if value is None else _FITTERS[field.kind](field, value)


_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
_INT64: Final = range(-(2**63), 2**63)
_EXACT_IN_A_DOUBLE: Final = 2**53
_SHOWN: Final = 80


def _refusal(field: Field, wanted: str, value: object) -> ValueError:
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…"
    return ValueError(f"{field.name} takes {wanted}, not {shown}")


def _text(field: Field, value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(field, "text", value)
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if not isinstance(value, str):
        raise _refusal(field, "text", value)
    if field.max_length is not None and len(value) > field.max_length:
        raise ValueError(
            f"{field.name} takes at most {field.max_length:,} characters, not {len(value):,}"
        )
    return value


def _boolean(field: Field, value: object) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _refusal(field, "true or false", value)
    return value


def _integer(field: Field, value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_IN_A_DOUBLE:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        raise _refusal(field, "a whole number", value)
    return value


def _number(field: Field, value: object) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = json.loads(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
        raise _refusal(field, "a number", value)
    return value


def _date(field: Field, value: object) -> str:
    wanted = "a date such as 2026-01-31"
    if not isinstance(value, str):
        raise _refusal(field, wanted, value)
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
        moment = datetime.fromisoformat(value) if _DATE_TIME.fullmatch(value) else None
    except ValueError:
        raise _refusal(field, wanted, value) from None
    # Midnight UTC is how a date travels in a system that knows only instants.
    if moment is None or moment != datetime(moment.year, moment.month, moment.day, tzinfo=UTC):
        raise _refusal(field, wanted, value)
    return moment.date().isoformat()


def _date_time(field: Field, value: object) -> str:
    wanted = "a date and time with its zone, such as 2026-01-31T09:30:00Z"
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise _refusal(field, wanted, value)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _refusal(field, wanted, value) from None
    return value


def _texts(field: Field, value: object) -> list[str]:
    return [_text(field, each) for each in (value if isinstance(value, list) else [value])]


def _anything(field: Field, value: object) -> list[object]:
    if not isinstance(value, list):
        raise _refusal(field, "a list", value)
    return value


_FITTERS: Final[Mapping[Kind, Callable[[Field, object], object]]] = {
    "string": _text,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "date-time": _date_time,
    "array-of-strings": _texts,
    "array": _anything,
}
