"""Whether Outreach's custom fields can hold what a destination writes to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.console import Console

from pipeline.console.formatting import print_rows
from pipeline.destination.file import Destination
from pipeline.destination.keys.mapping import Attribute, Audience
from pipeline.preflight.api_probe import UserSeen, ask_outreach
from pipeline.preflight.field_types import FieldSetup, is_known, unmet
from pipeline.preflight.findings import Findings
from transforms.text import shown

Setups = Mapping[str, FieldSetup]

_CUSTOM: Final = re.compile(r"custom[0-9]+")
_OWN_NAME: Final = re.compile(r"(?i)\s*custom\s*(?:field)?\s*[0-9]+\s*")
"""The label of a field that nobody has given one."""


class FieldSeen(NamedTuple):
    """A mapped custom field beside what is written to it.

    Attributes:
      field: such as ``custom4``.
      source: the audience's name, or the attribute's path.
      setup: how it is set up; None where that is not told.
      fits: whether it can hold what is written; None where that cannot be told.
    """

    field: str
    source: str
    setup: FieldSetup | None
    fits: bool | None


def custom_fields_of(destination: Destination) -> set[str]:
    """Names of the custom fields that a destination writes to."""
    targets = {attribute.target for attribute in destination.attributes}
    return {audience.field for audience in destination.audiences} | {
        target for target in targets if _CUSTOM.fullmatch(target)
    }


def agreed_setups(findings: Findings, users: Sequence[UserSeen]) -> Setups | None:
    """The set-up of fields as the first user sees them; warns of users who see others."""
    told = [(user.name, user.setups) for user in users if user.setups is not None]
    if not told:
        return None
    (first, agreed), *others = told
    fields = custom_fields_of(findings.destination)
    names = [user.name for user in findings.destination.users]
    for name, setups in others:
        if any(setups.get(field) != agreed.get(field) for field in fields):
            findings.warn(
                f"sees other custom fields than {first!r}; are both of one Outreach organisation?",
                *("users", names.index(name)),
            )
    return agreed


def check_fields(findings: Findings, setups: Setups) -> list[FieldSeen]:
    """Looks at each custom field that is written to; adds what is wrong to the findings."""
    destination = findings.destination
    seen = [
        _check_audience(findings, setups, place, audience)
        for place, audience in enumerate(destination.audiences)
    ]
    return seen + [
        _check_attribute(findings, setups, place, attribute)
        for place, attribute in enumerate(destination.attributes)
        if _CUSTOM.fullmatch(attribute.target)
    ]


def _check_audience(
    findings: Findings, setups: Setups, place: int, audience: Audience
) -> FieldSeen:
    path = ("audiences", place)
    setup = setups.get(audience.field)
    if setup is None:
        _miss(findings, audience.field, *path, "mapping_id")
        return FieldSeen(audience.field, audience.name, None, fits=False)
    misfits: dict[str, list[str]] = {}
    for status, value in audience.values:
        wanted = unmet(setup, value)
        if wanted is not None:
            misfits.setdefault(wanted, []).append(f"{shown(value)} ({status})")
    for wanted, values in misfits.items():
        findings.error(
            f"{_called(setup)} refuses {' and '.join(values)}: it {wanted}; write what it takes, or"
            " have the field changed in Outreach",
            *(*path, "values"),
        )
    if not is_known(setup):
        _doubt(findings, setup, *path, "mapping_id")
    for text in _label_doubts(findings.destination, audience, setup):
        findings.warn(text, *path, "name")
    fits = False if misfits else is_known(setup) or None
    return FieldSeen(audience.field, audience.name, setup, fits)


def _check_attribute(
    findings: Findings, setups: Setups, place: int, attribute: Attribute
) -> FieldSeen:
    path = ("attributes", place, "target")
    setup = setups.get(attribute.target)
    if setup is None:
        _miss(findings, attribute.target, *path)
        return FieldSeen(attribute.target, attribute.source, None, fits=False)
    if not is_known(setup):
        _doubt(findings, setup, *path)
    # What values will come is not known before they do; only text takes them all.
    fits = True if setup.type == "string" else None
    return FieldSeen(attribute.target, attribute.source, setup, fits)


def check_value(setup: FieldSetup, value: object) -> str | None:
    """Why a field refuses a value that has come, in words; None where it takes it."""
    wanted = unmet(setup, value)
    return f"{_called(setup)} refuses {shown(value)}: it {wanted}" if wanted else None


def _miss(findings: Findings, field: str, *path: str | int) -> None:
    findings.error(
        f"{field} is not among the prospect's fields in Outreach; have an administrator set it up,"
        " or write to another",
        *path,
    )


def _doubt(findings: Findings, setup: FieldSetup, *path: str | int) -> None:
    what = f"is of a type not known here ({setup.type})" if setup.type else "has no type"
    findings.note(
        f"{_called(setup)} {what}, as far as Outreach tells; what it takes was not checked", *path
    )


def _called(setup: FieldSetup) -> str:
    return f"{setup.name} ({setup.label})" if setup.label else setup.name


def _label_doubts(destination: Destination, audience: Audience, setup: FieldSetup) -> Iterator[str]:
    """What is odd about a field's label beside the audience's name, if that has been given one."""
    if audience.name == audience.segment or _plain(setup.label) == _plain(audience.name):
        return
    if setup.label is None or _OWN_NAME.fullmatch(setup.label):
        yield f"{setup.name} has no label in Outreach; call it {shown(audience.name)} there"
        return
    text = f"{setup.name} is labelled {shown(setup.label)} in Outreach"
    others = [other for other in destination.audiences if _plain(other.name) == _plain(setup.label)]
    if others:
        yield f"{text}, which is the audience of {others[0].field} here; are the two mixed up?"
    else:
        yield f"{text}, and this audience {shown(audience.name)}; is mapping_id right?"


def _plain(text: str | None) -> str:
    """Text without its case, punctuation and spacing."""
    return " ".join(re.findall(r"\w+", (text or "").casefold()))


_HELD = {True: "yes", False: "no", None: "unknown"}


@dataclass(slots=True)
class LiveFindings:
    """What was seen of a destination at Outreach.

    Attributes:
      findings: what is not as it should be.
      users: each who was asked for.
      fields: each custom field that is written to, if Outreach tells about them.
      setups: how they are set up; None where Outreach does not tell.
    """

    findings: Findings
    users: list[UserSeen]
    fields: list[FieldSeen] = field(default_factory=list)
    setups: Setups | None = None

    @property
    def requests(self) -> int:
        """How many were spent on it, requests for tokens apart."""
        return sum(user.requests for user in self.users)

    def tell(self, console: Console) -> None:
        """Prints what was seen."""
        print_rows(
            console,
            "at Outreach, users",
            [_user_row(user) for user in self.users],
            ("user", "token", *(scope for user in self.users[:1] for scope in user.scopes), "left"),
        )
        print_rows(
            console,
            "at Outreach, fields",
            [_field_row(each) for each in self.fields],
            ("field", "written from", "label", "type", "fits"),
        )

    def as_json(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "requests": self.requests,
            "users": [
                {
                    "name": user.name,
                    "token": user.has_token,
                    "scopes": user.scopes,
                    "limit": user.limits.limit,
                    "remaining": user.limits.remaining,
                }
                for user in self.users
            ],
            "fields": [
                {
                    "field": each.field,
                    "source": each.source,
                    "label": each.setup and each.setup.label,
                    "type": each.setup and each.setup.type,
                    "fits": each.fits,
                }
                for each in self.fields
            ],
        }


def look(
    destination: Destination, left_out: Collection[str], clock: Callable[[], float]
) -> LiveFindings:
    """Asks Outreach about a destination; see `ask_outreach`."""
    findings = Findings(destination)
    live = LiveFindings(findings, ask_outreach(findings, left_out, clock))
    live.setups = agreed_setups(findings, live.users)
    if live.setups is not None:
        live.fields = check_fields(findings, live.setups)
    return live


def _user_row(user: UserSeen) -> tuple[str, ...]:
    limits = user.limits
    left = "unknown"
    if limits.remaining is not None:
        left = f"{limits.remaining:,}" + (f" of {limits.limit:,}" if limits.limit else "")
    token = "accepted" if user.has_token else "none"
    return user.name, token, *(_HELD[held] for held in user.scopes.values()), left


def _field_row(seen: FieldSeen) -> tuple[str, ...]:
    if seen.setup is None:
        return seen.field, seen.source, "missing", "", "no"
    return seen.field, seen.source, seen.setup.label or "", seen.setup.described, _HELD[seen.fits]
