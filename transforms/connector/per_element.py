"""The stages after parse, one element at a time, for a Beam user who takes one of them alone.

A job's own stages (`transforms.stages`) pass on what arrived together as one element, since a
million small elements would cost more. These are the same stages between collections of single
elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.typehints import with_input_types

from transforms.elements import (
    AttributeChange,
    Change,
    DeadLetter,
    MembershipChange,
    Outcome,
    Patch,
    Receipt,
)
from transforms.plan import Plan
from transforms.receipts import receipts_of
from transforms.stages.coalesce import Coalesce
from transforms.stages.map import Map
from transforms.stages.parse import Arrived
from transforms.stages.receipts import ReceiptsDoFn
from transforms.stages.windowing import globally


class MapToFieldsResult(NamedTuple):
    """Outputs of `MapToFields`.

    Attributes:
      changes: PCollection[Change].
      outcomes: PCollection[Outcome], of values that their field cannot hold.
    """

    changes: PCollection[Change]
    outcomes: PCollection[Outcome]


@with_input_types(MembershipChange | AttributeChange)
@dataclass
class MapToFields(beam.PTransform):
    """Maps memberships and attributes to the fields of prospects, as a plan says.

    Element by element: in parallel without limit and without delay. What the plan does not map
    is counted (``map/out-unmapped``) and goes no further. A value that its field cannot hold
    ends here, with the outcome ``rejected``.

    Input: PCollection of MembershipChange, of AttributeChange, or of both.

    Attributes:
      plan: what goes where.
    """

    plan: Plan

    def expand(self, arrived: PCollection) -> MapToFieldsResult:
        """See `MapToFields`."""
        blocks = arrived | "Alone" >> beam.Map(arrived_alone).with_output_types(Arrived)
        mapped = blocks | "Map" >> Map(self.plan)
        changes = mapped.changes | "Each" >> beam.FlatMap(each).with_output_types(Change)
        return MapToFieldsResult(changes, mapped.outcomes)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return Map(self.plan).display_data()


class CoalesceChangesResult(NamedTuple):
    """Outputs of `CoalesceChanges`.

    Attributes:
      patches: PCollection[Patch].
      outcomes: PCollection[Outcome], of what was superseded or unchanged.
    """

    patches: PCollection[Patch]
    outcomes: PCollection[Outcome]


@with_input_types(Change)
@dataclass
class CoalesceChanges(beam.PTransform):
    """Merges the changes of each prospect into one patch of the newest value a field.

    The newest is that of the latest event time, whatever the order of arrival. Bounded input:
    all changes of a prospect meet, and one patch comes out. Unbounded input: a prospect's
    changes are held for `hold_seconds` from the first of them, and what was put out is
    remembered, so that stale and repeated values go no further; in state and timers, which the
    runner must have. In parallel there are as many prospects as there are, in batches of 64
    groups. Whatever the windows of the input, the outputs are in the global one.

    Input: PCollection[Change].

    Attributes:
      hold_seconds: the delay that unbounded input meets, at most.
      remember_seconds: how long unbounded input's prospects are remembered, from their last
        change.

    Raises:
      ValueError: one of them is negative.
    """

    hold_seconds: float = 5.0
    remember_seconds: float = 30 * 86400.0

    def __post_init__(self) -> None:
        # Made here, so that what is wrong is said when the transform is.
        self._coalesce = Coalesce(self.hold_seconds, self.remember_seconds)

    def expand(self, changes: PCollection[Change]) -> CoalesceChangesResult:
        """See `CoalesceChanges`."""
        lists = globally(changes) | "Alone" >> beam.Map(alone).with_output_types(list[Change])
        merged = lists | "Coalesce" >> self._coalesce
        outcomes = merged.outcomes | "Outcomes" >> beam.Flatten()
        return CoalesceChangesResult(merged.patches, outcomes)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return self._coalesce.display_data()


class IssueReceiptsResult(NamedTuple):
    """Outputs of `IssueReceipts`.

    Attributes:
      receipts: PCollection[Receipt], one for each change.
      dead_letters: PCollection[DeadLetter], one for each change that was rejected or deferred.
    """

    receipts: PCollection[Receipt]
    dead_letters: PCollection[DeadLetter]


@with_input_types(Outcome)
class IssueReceipts(beam.PTransform):
    """Makes of outcomes a receipt a change, and a dead letter a change not delivered.

    Element by element: in parallel without limit and without delay.

    Input: PCollection[Outcome].
    """

    def expand(self, outcomes: PCollection[Outcome]) -> IssueReceiptsResult:
        """See `IssueReceipts`."""
        issued = outcomes | "Issue" >> beam.ParDo(IssueDoFn()).with_output_types(
            Receipt, dead_letters=DeadLetter
        ).with_outputs("dead_letters", main="receipts")
        return IssueReceiptsResult(issued.receipts, issued.dead_letters)


class IssueDoFn(ReceiptsDoFn):
    """See `IssueReceipts`; counts as `ReceiptsDoFn` does."""

    def __init__(self) -> None:
        super().__init__(written=False)

    def process(self, outcome: Outcome) -> Iterator[Receipt | TaggedOutput]:  # noqa: D102
        yield from receipts_of(outcome)
        yield from super().process(outcome)


def arrived_alone(change: MembershipChange | AttributeChange) -> Arrived:
    """A change as all that arrived together."""
    if isinstance(change, MembershipChange):
        return Arrived([change], [])
    return Arrived([], [change])


def alone(change: Change) -> list[Change]:
    """A change as a list of one."""
    return [change]


def each(changes: Sequence[Change]) -> Sequence[Change]:
    """The changes of a list."""
    return changes
