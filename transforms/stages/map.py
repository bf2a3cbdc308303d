"""Map: from memberships and attributes to changes of fields (the rules: `transforms.mapping`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.typehints import with_input_types

from transforms.clock import micros, steady
from transforms.elements import REJECTED, Change, Outcome, is_known
from transforms.mapping import Mapping, Plan
from transforms.stages.parse import Arrived

UNMAPPED = "unmapped"
"""The namespace of the counters of unmapped segments."""
SEGMENTS_NAMED = 50
"""Unmapped segments that one worker counts by name: an organisation may have thousands."""


class MapResult(NamedTuple):
    """Outputs of `Map`.

    Attributes:
      changes: PCollection[Sequence[Change]], one sequence a block of arrivals.
      outcomes: PCollection[Outcome], of values that their field cannot hold.
    """

    changes: PCollection[Sequence[Change]]
    outcomes: PCollection[Outcome]


@with_input_types(Arrived)
@dataclass
class Map(beam.PTransform):
    """Maps what arrived to the fields of prospects, as the plan says.

    A membership in a segment without an audience is counted (`out-unmapped`) and goes no
    further. A value that does not fit its field is rejected here, before it can cost a request.
    """

    plan: Plan
    clock: Callable[[], float] = steady

    def expand(self, arrived: PCollection[Arrived]) -> MapResult:
        """PCollection[Arrived] to `MapResult`."""
        mapped = arrived | beam.ParDo(MapDoFn(self.plan, self.clock)).with_output_types(
            list[Change], outcomes=Outcome
        ).with_outputs("outcomes", main="changes")
        return MapResult(mapped.changes, mapped.outcomes)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it; no secret is in a plan."""
        plan = self.plan
        written = [f"{each.name} → {each.field}" for each in plan.audiences]
        written += [f"{each.source} → {each.target}" for each in plan.attributes]
        users = ", ".join(user.name for user in plan.users)
        return {
            "fields": DisplayDataItem(", ".join(written), label="Audiences and attributes"),
            "users": DisplayDataItem(users, label="Outreach users"),
        }


class MapDoFn(beam.DoFn):
    """Maps one block; see `Map`."""

    def __init__(self, plan: Plan, clock: Callable[[], float]) -> None:
        self._plan = plan
        self._clock = clock
        self._in_changes = Metrics.counter("map", "in-changes")
        self._out_changes = Metrics.counter("map", "out-changes")
        self._out_unmapped = Metrics.counter("map", "out-unmapped")
        self._out_rejected = Metrics.counter("map", "out-rejected")

        self._segments: Counter[str] = Counter()
        self._named: set[str] = set()

    def setup(self) -> None:  # noqa: D102
        self._mapping = Mapping(self._plan)

    def finish_bundle(self) -> None:
        """Counts the unmapped segments that came most often, as many as a runner can show."""
        for segment, count in self._segments.most_common():
            if len(self._named) == SEGMENTS_NAMED and segment not in self._named:
                continue
            self._named.add(segment)
            Metrics.counter(UNMAPPED, segment).inc(count)
        self._segments.clear()

    def process(self, arrived: Arrived) -> Iterator[Any]:  # noqa: D102
        changes, misfits, unmapped, segments = self._mapping.map(
            arrived.memberships, arrived.attributes
        )
        self._segments.update(segments)
        asked = sum(not is_known(change) for change in changes)
        self._in_changes.inc(asked + len(misfits) + unmapped)
        self._out_changes.inc(asked)
        self._out_unmapped.inc(unmapped)
        self._out_rejected.inc(len(misfits))
        for misfit in misfits:
            yield TaggedOutput(
                "outcomes",
                Outcome(
                    REJECTED,
                    [misfit.change],
                    micros(self._clock()),
                    reason="value_invalid",
                    detail=misfit.detail,
                ),
            )
        if changes:
            yield changes
