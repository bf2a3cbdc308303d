"""The plan: what goes where, right from the moment that it is made.

Plain data without Beam; `transforms.mapping` has the rules that it is read by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import orjson

from transforms.conditions import Condition
from transforms.elements import FROM_RECEIPT, STATUSES
from transforms.matching import BY_ID
from transforms.outreach.fields import CUSTOM_FIELDS, OBJECTS, PROSPECT
from transforms.relations import targets_of
from transforms.text import did_you_mean

_Key = TypeVar("_Key", bound=Hashable)


CLOCK_SKEW: Final = 10 * 60 * 1_000_000
"""Microseconds by which a source's clock may be ahead, if nothing else is said."""


_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def canonical(segment: str) -> str:
    """A segment's id for comparing: of a UUID the capitals make no difference (RFC 9562)."""
    return segment.lower() if len(segment) == 36 and _UUID.fullmatch(segment) else segment  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Audience:
    """One segment, and the prospect field that shows who is in it.

    Attributes:
      segment: the audience's id at its source.
      namespace: only where two namespaces use the same id; None matches any.
      name: for people.
      field: such as ``custom4``.
      values: pairs of status and the JSON text to write for it.
      only_if: what must hold of a record's attributes; None for nothing.
    """

    segment: str
    namespace: str | None
    name: str
    field: str
    values: tuple[tuple[str, str], ...]
    only_if: Condition | None = None

    @classmethod
    def of(
        cls,
        segment: str,
        mapping_id: int,
        values: Mapping[str, object] | None = None,
        *,
        namespace: str | None = None,
        name: str = "",
    ) -> Self:
        """An audience as a destination file has it.

        Args:
          segment: the audience's id at its source.
          mapping_id: N of Custom Field N.
          values: what to write for a status, None to clear the field; the status itself for
            each that is left out.
          namespace: only where two namespaces use the same id.
          name: for people; the segment where it is empty.

        Raises:
          ValueError: there is no such field or no such status, or a value is no JSON.
        """
        if not 1 <= mapping_id <= CUSTOM_FIELDS:
            raise ValueError(
                f"mapping_id {mapping_id} is not from 1 to {CUSTOM_FIELDS}, as custom fields are"
            )
        given = dict(values or {})
        for status in given:
            if status not in STATUSES:
                raise ValueError(
                    f"there is no status {status!r} to write a value for; "
                    f"there are {', '.join(STATUSES)}"
                )
        texts = tuple((status, _json(given.get(status, status))) for status in STATUSES)
        return cls(segment, namespace, name or segment, f"custom{mapping_id}", texts)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One profile attribute, by its path at the source, and the field it goes to.

    Attributes:
      source: its path.
      target: the prospect field.
      if_empty: whether it is written only where that field holds nothing.
      keeps: whether the field stays as it is where the attribute is empty.
    """

    source: str
    target: str
    if_empty: bool = False
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class OutreachUser:
    """A user whose API budget is spent; `weight` is that budget, in any one unit."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class Source:
    """One platform that posts its changes, and what its records leave out.

    Attributes:
      name: as in its address, ``/changes/NAME``.
      namespace: the identityMap namespace whose id is the OutreachId; None for the plan's.
      paths: where an OutreachId is looked for in other records; empty for the plan's.
      segment: of records that do not name their audience; None where they must.
    """

    name: str
    namespace: str | None = None
    paths: tuple[str, ...] = ()
    segment: str | None = None


SOURCE_ATTRIBUTE: Final = "outreach_source"
"""The attribute of a Pub/Sub message that names the source which posted it."""
SOURCE_PREFIX: Final = "/changes/"
"""Before the name of a source, in an address and in what blocks and dead letters call it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How records are read, besides their shape.

    Attributes:
      paths: where an OutreachId is looked for in records that have no identityMap; empty for
        where each format has it.
      segments: those that are mapped, as `canonical`: of several spellings, one of them is meant.
      sources: that post, each with what is different of its records.
      mirrored: the segment of which files are the whole audience: records that name no audience
        are of it, and who stands there without a status is a member. None for none.
      match: by what records name a prospect: ``outreach_id``, ``email`` or ``external_id``.
      conditions: what must hold of a record: triples of namespace, segment and condition; a
        segment of None for all records, a namespace of None for all of the segment's.
      kept_if_empty: attributes that are passed over where they are empty.
    """

    paths: tuple[str, ...] = ()
    segments: frozenset[str] = frozenset()
    sources: tuple[Source, ...] = ()
    mirrored: str | None = None
    match: str = BY_ID
    conditions: tuple[tuple[str | None, str | None, Condition], ...] = ()
    kept_if_empty: frozenset[str] = frozenset()

    def conditions_of(self, namespace: str | None, segment: str | None) -> tuple[Condition, ...]:
        """What must hold of a membership of a segment; of an attribute where that is None."""
        named = None if segment is None else canonical(segment)
        return tuple(
            condition
            for space, one, condition in self.conditions
            if one is None or (one == named and space in (None, namespace))
        )

    def source(self, name: str) -> Source | None:
        """The source of a block; None where it is a file or a subscription."""
        if not name.startswith(SOURCE_PREFIX):
            return None
        name = name.removeprefix(SOURCE_PREFIX).partition(" ")[0]
        return next((each for each in self.sources if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the pure stages need to know of a destination.

    Attributes:
      identity: the identityMap namespace whose id is the OutreachId, or what `match` says.
      audiences: no two on one field.
      attributes: no two on one field, none on an audience's.
      users: at least one.
      clock_skew: microseconds by which a source's clock may be ahead of ours.
      paths: as of `Reading`.
      posted: the sources of `Reading`.
      mirrored: as of `Reading`, as is `match`.
      only_if: what must hold of every record; None for nothing.
      object: that is written, ``prospect`` or ``account``.

    Raises:
      ValueError: it contradicts itself, or names a field that a prospect has not.
    """

    identity: str
    audiences: tuple[Audience, ...]
    attributes: tuple[Attribute, ...]
    users: tuple[OutreachUser, ...]
    clock_skew: int = CLOCK_SKEW
    paths: tuple[str, ...] = ()
    posted: tuple[Source, ...] = ()
    mirrored: str | None = None
    match: str = BY_ID
    only_if: Condition | None = None
    object: str = PROSPECT

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def reading(self) -> Reading:
        """How records are read, besides their shape."""
        segments = frozenset(canonical(audience.segment) for audience in self.audiences)
        conditions: list[tuple[str | None, str | None, Condition]] = []
        if self.only_if:
            conditions.append((None, None, self.only_if))
        conditions += [
            (each.namespace, canonical(each.segment), each.only_if)
            for each in self.audiences
            if each.only_if
        ]
        keeps = frozenset(each.source for each in self.attributes if each.keeps)
        return Reading(
            self.paths,
            segments,
            self.posted,
            self.mirrored,
            self.match,
            tuple(conditions),
            keeps,
        )

    @property
    def if_empty(self) -> frozenset[str]:
        """The fields that are written only where they hold nothing."""
        return frozenset(each.target for each in self.attributes if each.if_empty)

    @property
    def sources(self) -> tuple[str, ...]:
        """The attribute paths that parsing is to look for."""
        return tuple(attribute.source for attribute in self.attributes)


def _problems(plan: Plan) -> Iterator[str]:
    if not plan.identity:
        yield "identity is empty; name the namespace whose id is the OutreachId, such as Oid"
    if not plan.users:
        yield "there is no user by whose requests to write; give at least one"
    for name in _twice(user.name for user in plan.users):
        yield f"two users are named {name!r}; name each differently"
    for user in plan.users:
        if not user.weight > 0:
            yield f"user {user.name!r} has a weight of {user.weight}; it must be more than 0"
    for namespace, segment in _twice(
        (each.namespace, canonical(each.segment)) for each in plan.audiences
    ):
        where = "" if namespace is None else f" of namespace {namespace!r}"
        yield f"segment {segment!r}{where} is mapped twice; leave one of its audiences"
    yield from _attribute_problems(plan.attributes)
    targets = [each.field for each in plan.audiences] + [each.target for each in plan.attributes]
    for field in _twice(targets):
        yield f"{field} is written by two audiences or attributes; give each a field of its own"
    writable = targets_of(OBJECTS[plan.object])
    for field in dict.fromkeys(targets):
        if field not in writable:
            near = did_you_mean(field, writable)
            yield f"{field!r} is no {plan.object} field that can be written{near}"


def _attribute_problems(attributes: Iterable[Attribute]) -> Iterator[str]:
    for attribute in attributes:
        if attribute.source.startswith(FROM_RECEIPT):
            yield (
                f"attribute source {attribute.source!r} begins with {FROM_RECEIPT!r}, which is for"
                " what receipts say; rename it at its source"
            )


def _twice(keys: Iterable[_Key]) -> list[_Key]:
    return [key for key, count in Counter(keys).items() if count > 1]


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as problem:
        raise ValueError(f"{value!r} cannot be written to a field: {problem}") from None
