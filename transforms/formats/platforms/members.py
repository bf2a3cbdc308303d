"""What the formats of audience platforms have in common: whom, which audience, in or out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from transforms.elements import MembershipChange
from transforms.formats.attribute_paths import ABSENT, find
from transforms.formats.context import RecordContext
from transforms.formats.validation import Refused, read_segment
from transforms.matching import BY_DOMAIN, BY_EMAIL, BY_EXTERNAL_ID, BY_ID, BY_NAME
from transforms.text import listed, shown

ENTERED: Final = "realized"
STAYED: Final = "existing"
LEFT: Final = "exited"

KEYS: Final = {
    BY_ID: ("outreach_id", "outreachId", "Oid"),
    BY_EMAIL: ("email", "emailAddress", "email_address", "$email", "emails"),
    BY_EXTERNAL_ID: ("external_id", "externalId"),
    BY_DOMAIN: ("domain", "company_domain", "companyDomain", "account_domain", "accountDomain"),
    BY_NAME: ("name", "company_name", "companyName", "account_name", "accountName"),
}
"""Where a prospect is looked for in every format, unless ``identity.path`` says otherwise."""

NAMES: Final = {
    BY_ID: "OutreachId",
    BY_EMAIL: "e-mail address",
    BY_EXTERNAL_ID: "external id",
    BY_DOMAIN: "domain",
    BY_NAME: "name",
}
"""What a record names a prospect by, for people."""

_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_NOTHING: Final[tuple[object, ...]] = (ABSENT, None, "", [])


class IdPaths(NamedTuple):
    """The default paths of a format's ids, where the source names no others.

    Attributes:
      within: paths of objects in which the keys of `KEYS` may be, besides the record itself.
      own: paths of ids that the platform knows people by.
    """

    within: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


NOWHERE: Final = IdPaths()
"""Nothing of a format's own."""


@lru_cache(maxsize=64)
def _paths(match: str, where: IdPaths) -> tuple[str, ...]:
    keys = KEYS[match]
    nested = tuple(f"{place}.{key}" for place in where.within for key in keys)
    return (*keys, *nested, *(where.own if match in (BY_ID, BY_EXTERNAL_ID) else ()))


def prospects_in(
    reading: RecordContext, places: Sequence[dict[str, Any]], where: IdPaths = NOWHERE
) -> list[int]:
    """The prospects that a record names: what the first path holds that holds something.

    Args:
      reading: with the paths that its source or the destination names, if they name any.
      places: the objects in which to look, in order.
      where: the format's own places, where none are named.

    Returns:
      Their OutreachIds, or what stands for their keys (`RecordContext.prospect`).

    Raises:
      Refused: ``identity_missing`` or ``identity_invalid``.
    """
    looked: list[str] = []
    for kind in reading.kinds:
        paths = (reading.paths if kind == reading.match else ()) or _paths(kind, where)
        for path in paths:
            value = find(path, tuple(path.split(".")), places)
            if value not in _NOTHING:
                ids = value if type(value) is list else [value]
                return list(dict.fromkeys(reading.prospect_by(kind, each) for each in ids))
        looked += paths
    names = " or ".join(NAMES[kind] for kind in reading.kinds)
    raise Refused(
        "identity_missing",
        f"no {names} at {listed(looked)}; name its place as identity.path in the"
        " destination file, for all or for this source",
    )


def segment_in(reading: RecordContext, named: Iterable[object]) -> str:
    """The audience that a record names: of its keys and names, the one that is mapped.

    Args:
      reading: with the segments that are mapped, and the source's own, if it has one.
      named: the record's spellings of one audience, the best first; None stands for none.

    Raises:
      Refused: ``segment_missing``: it names none, and neither does its source.
    """
    spelled = [read_segment(each) for each in named if each not in _NOTHING]
    for each in spelled:
        if reading.is_mapped(each):
            return each
    if spelled:
        return spelled[0]
    if reading.segment is not None:
        return reading.segment
    raise Refused(
        "segment_missing",
        "the record does not say which audience it is of; name it as segment of this source in the"
        " destination file",
    )


def boolean(value: object) -> bool | None:
    """A boolean, also as text or as 0 or 1; None where it is none."""
    if type(value) is bool:
        return value
    if type(value) in (str, int):
        return _BOOLEANS.get(str(value).strip().lower())
    return None


def add_memberships(
    reading: RecordContext,
    prospects: Iterable[int],
    segment: str,
    status: str,
    time: int | None,
) -> None:
    """Adds a membership for each prospect."""
    shared = reading.share(segment)
    reading.memberships += [
        MembershipChange(reading.arrival_id, prospect, None, shared, status, time, reading.sequence)
        for prospect in prospects
    ]


def add_listed(
    reading: RecordContext,
    entered: Iterable[object],
    left: Iterable[object],
    segment: str,
    time: int | None,
    where: IdPaths = NOWHERE,
) -> None:
    """Adds the people of two lists, each once; who stands in both is a contradiction.

    Args:
      reading: the record's.
      entered: people, as objects or as ids, who are in the audience now.
      left: people who are not.
      segment: the audience.
      time: of all of them.
      where: as of `prospects_in`.
    """
    found: dict[str, dict[int, object]] = {ENTERED: {}, LEFT: {}}
    for status, people in ((ENTERED, entered), (LEFT, left)):
        for place, person in enumerate(people):
            member = person if type(person) is dict else {KEYS[reading.match][0]: person}
            try:
                for prospect in prospects_in(reading, (member,), where):
                    found[status].setdefault(prospect, member)
            except Refused as refused:
                reading.refuse(refused, f"person {place + 1} of those who are {status}")
    both = found[ENTERED].keys() & found[LEFT].keys()
    for prospect in sorted(both):
        reading.refuse(
            Refused(
                "contradictory",
                f"prospect {reading.name_of(prospect)} both enters and leaves {shown(segment)}",
            )
        )
    for status, members in found.items():
        rest = {each: member for each, member in members.items() if each not in both}
        add_memberships(reading, rest, segment, status, time)
        for prospect, about in rest.items():
            if type(about) is dict:
                reading.add_attributes((prospect,), (about,), time)


def read_list(value: object, name: str) -> list[Any]:
    """The list under a key; an empty one where it is absent or null.

    Raises:
      Refused: ``unknown_shape``.
    """
    if value is None:
        return []
    if type(value) is list:
        return value
    raise Refused("unknown_shape", f"{name} is {shown(value)}; it must be a list")
