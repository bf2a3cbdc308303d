"""Resolve: from addresses and external ids to OutreachIds, by a directory of the prospects.

It stands between parse and map, and only where the plan matches by something else than the
OutreachId; behind it there are OutreachIds alone. The directory is looked up where there is one
beside the job, such as a ledger's, or is a side input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict, PCollection, TaggedOutput
from apache_beam.typehints import with_input_types

from transforms.directory import DirectoryEntry, digest_of, keys_of
from transforms.elements import (
    KEYED,
    AttributeChange,
    MembershipChange,
    Unresolved,
)
from transforms.mapping import Mapping as PlanMapping
from transforms.matching import Lookup, LookupSource
from transforms.plan import Plan
from transforms.stages.parse import Arrived

_DIGEST_BYTES = 6


class Resolution(NamedTuple):
    """What a block comes to.

    Attributes:
      arrived: of prospects whose ids are known; of others only what is not mapped anyway.
      unresolved: the rest.
    """

    arrived: Arrived
    unresolved: list[Unresolved]


def resolve(
    arrived: Arrived, found: Mapping[str, Sequence[int]], mapping: PlanMapping
) -> Resolution:
    """Puts an OutreachId in place of each key that exactly one prospect has.

    Args:
      arrived: with its keys.
      found: the OutreachIds of each key, where there are any.
      mapping: of the plan.
    """
    ids = [found.get(key, ()) for key in arrived.keys]
    known = [each[0] if len(each) == 1 else 0 for each in ids]
    marks = [KEYED + digest_key(key) for key in arrived.keys]
    memberships: list[MembershipChange] = []
    waiting: dict[int, tuple[list[MembershipChange], list[AttributeChange]]] = {}
    # Put together by hand, for a replay may resolve a million: `_replace` takes twice as long.
    for membership in arrived.memberships:
        arrival, prospect, namespace, segment, status, time, sequence, retry = membership
        if prospect > 0:
            memberships.append(membership)
            continue
        place = -prospect - 1
        if KEYED not in arrival:
            arrival += marks[place]
        change = MembershipChange(
            arrival, known[place], namespace, segment, status, time, sequence, retry
        )
        if known[place] or mapping.audience(namespace, segment) is None:
            memberships.append(change)
        else:
            waiting.setdefault(prospect, ([], []))[0].append(change)
    attributes: list[AttributeChange] = []
    for attribute in arrived.attributes:
        placed = _placed(attribute, known, marks)
        if placed.outreach_id:
            attributes.append(placed)
        else:
            waiting.setdefault(attribute.outreach_id, ([], []))[1].append(placed)
    unresolved: list[Unresolved] = []
    for prospect, (some, several) in waiting.items():
        place = -prospect - 1
        mapped = mapping.map(some, several)
        # A value that fits no field is refused behind this, whosoever it is.
        misfits = {misfit.change.origin for misfit in mapped.misfits}
        attributes += [each for each in several if each.source in misfits]
        changes = [each for each in mapped.changes if each.origin not in misfits or each.segment]
        if changes:
            spelling = arrived.spellings[place] if arrived.spellings else ""
            unresolved.append(Unresolved(arrived.keys[place], changes, len(ids[place]), spelling))
    return Resolution(Arrived(memberships, attributes), unresolved)


def _placed(
    attribute: AttributeChange, known: Sequence[int], marks: Sequence[str]
) -> AttributeChange:
    """An attribute's change with its prospect's id, or 0 where none is known."""
    place = -attribute.outreach_id - 1
    if place < 0:
        return attribute
    arrival = attribute.arrival_id
    if KEYED not in arrival:
        arrival += marks[place]
    return attribute._replace(arrival_id=arrival, outreach_id=known[place])


def digest_key(key: str) -> str:
    """What stands for a key in the ids of its changes."""
    return blake2b(key.encode(), digest_size=_DIGEST_BYTES).hexdigest()


class ResolveResult(NamedTuple):
    """Outputs of `Resolve`.

    Attributes:
      arrived: PCollection[Arrived], of OutreachIds alone.
      unresolved: PCollection[Unresolved].
    """

    arrived: PCollection[Arrived]
    unresolved: PCollection[Unresolved]


@with_input_types(Arrived)
@dataclass
class Resolve(beam.PTransform):
    """Puts OutreachIds in place of keys; see `resolve`.

    Attributes:
      plan: with what it matches by.
      directory: where prospects are found: a look-up, or a source of `DirectoryEntry`, bounded,
        that becomes a side input.
    """

    plan: Plan
    directory: LookupSource | beam.PTransform | None = None

    def expand(self, arrived: PCollection[Arrived]) -> ResolveResult:
        """PCollection[Arrived] to `ResolveResult`."""
        if self.directory is None:
            raise ValueError(
                f"prospects are matched by {self.plan.match}, and there is no directory"
            )
        if isinstance(self.directory, beam.PTransform):
            found = (
                arrived.pipeline
                | "Directory" >> self.directory
                | "Keys" >> beam.FlatMap(_keyed, self.plan.match).with_output_types(tuple[str, int])
                | "ByKey" >> beam.GroupByKey()
                | "Ids" >> beam.MapTuple(_ids).with_output_types(tuple[str, list[int]])
            )
            step = beam.ParDo(ResolveBesideDoFn(self.plan), AsDict(found))
        else:
            step = beam.ParDo(ResolveDoFn(self.plan, self.directory))
        resolved = arrived | "Look" >> step.with_output_types(
            Arrived, unresolved=Unresolved
        ).with_outputs("unresolved", main="arrived")
        return ResolveResult(resolved.arrived, resolved.unresolved)


def _keyed(entry: DirectoryEntry, match: str) -> Iterator[tuple[str, int]]:
    for key in keys_of(entry, match):
        yield key, entry.outreach_id


def _ids(key: str, ids: Any) -> tuple[str, list[int]]:  # noqa: ANN401 - Beam's iterable
    return key, sorted(set(ids))


class ResolveDoFn(beam.DoFn):
    """Resolves a block by a look-up; see `Resolve`."""

    def __init__(self, plan: Plan, lookup: LookupSource) -> None:
        self._plan = plan
        self._source = lookup
        self._out_unresolved = Metrics.counter("resolve", "out-unresolved")

    def setup(self) -> None:  # noqa: D102
        self._mapping = PlanMapping(self._plan)
        self._lookup: Lookup = self._source.open()

    def process(self, arrived: Arrived) -> Iterator[Any]:  # noqa: D102
        found = self._lookup.find(arrived.keys) if arrived.keys else {}
        yield from self._resolved(arrived, found)

    def _resolved(self, arrived: Arrived, found: Mapping[str, Sequence[int]]) -> Iterator[Any]:
        resolution = resolve(arrived, found, self._mapping)
        if resolution.arrived.memberships or resolution.arrived.attributes:
            yield resolution.arrived
        for each in resolution.unresolved:
            self._out_unresolved.inc(len(each.changes))
            yield TaggedOutput("unresolved", each)


class ResolveBesideDoFn(ResolveDoFn):
    """Resolves a block by a side input; see `Resolve`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, _Nowhere())

    def process(  # type: ignore[override]  # noqa: D102 - Beam passes the side input
        self, arrived: Arrived, found: Mapping[str, Sequence[int]]
    ) -> Iterator[Any]:
        digests = {key: found.get(key) or found.get(digest_of(key)) for key in arrived.keys}
        yield from self._resolved(arrived, {key: ids for key, ids in digests.items() if ids})


class _Nowhere:
    """Finds nobody."""

    def open(self) -> Lookup:
        return self

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        del keys
        return {}
