"""Coalesce: one patch a prospect, with the newest value for each field.

A thin shell around `transforms.fold` with two expansions, chosen as Beam's own IOs do by
`is_bounded`: bounded input meets at a GroupByKey, unbounded input in state with timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.transforms.window import GlobalWindow
from apache_beam.typehints import with_input_types
from apache_beam.utils.windowed_value import WindowedValue

from transforms.clock import steady
from transforms.elements import Change, Outcome, Patch, is_known
from transforms.fold import Held, Known, gather, remember, settle, weigh
from transforms.stages.counters import CoalesceCounters

SHARDS = 64
"""Groups in which a bounded run's prospects meet: enough for any number of workers in use."""


class CoalesceResult(NamedTuple):
    """Outputs of `Coalesce`.

    Attributes:
      patches: PCollection[Patch], one a prospect (unbounded: one each time its hold ends).
      outcomes: of PCollection[Outcome] one or two: what was superseded or unchanged, from each
        step where that shows. Flattened, a runner would shuffle them all for nothing.
    """

    patches: PCollection[Patch]
    outcomes: tuple[PCollection[Outcome], ...]


@with_input_types(list[Change])
@dataclass
class Coalesce(beam.PTransform):
    """Merges the changes of each prospect into one patch of the newest value a field.

    Bounded input: all changes of a prospect meet, whatever their order, and one patch comes
    out. Unbounded input: a prospect's changes are gathered `hold_seconds` from the first of
    them, then one patch comes out; what was last put out is remembered for `remember_seconds`
    after the last change, so that stale and repeated values go no further.

    Attributes:
      hold_seconds: the delay that an unbounded run adds, at most.
      remember_seconds: how long an unbounded run remembers a prospect it hears nothing of.
      clock: seconds since the epoch.

    Raises:
      ValueError: one of them is negative.
    """

    hold_seconds: float = 5.0
    remember_seconds: float = 30 * 86400.0
    clock: Callable[[], float] = steady

    def __post_init__(self) -> None:
        if not (self.hold_seconds >= 0 and self.remember_seconds >= 0):
            raise ValueError(
                f"hold_seconds is {self.hold_seconds} and remember_seconds is "
                f"{self.remember_seconds}; each must be 0 or more"
            )

    def expand(self, changes: PCollection[Sequence[Change]]) -> CoalesceResult:
        """PCollection[Sequence[Change]] to `CoalesceResult`."""
        if changes.is_bounded:
            return self._bounded(changes)
        return self._unbounded(changes)

    def _bounded(self, changes: PCollection[Sequence[Change]]) -> CoalesceResult:
        merge = beam.ParDo(MergeBundleDoFn(self.clock)).with_output_types(
            tuple[str, list[Change]], outcomes=Outcome
        )
        merged = changes | "Merge" >> merge.with_outputs("outcomes", main="changes")
        grouped = merged.changes | "GroupByShard" >> beam.GroupByKey()
        settle = beam.ParDo(SettleShardDoFn(self.clock)).with_output_types(Patch, outcomes=Outcome)
        settled = grouped | "Settle" >> settle.with_outputs("outcomes", main="patches")
        return CoalesceResult(settled.patches, (merged.outcomes, settled.outcomes))

    def _unbounded(self, changes: PCollection[Sequence[Change]]) -> CoalesceResult:
        from transforms.stages.coalesce_stateful import HoldDoFn, by_prospect  # noqa: PLC0415

        by_key = changes | "ByProspect" >> beam.FlatMap(by_prospect).with_output_types(
            tuple[str, Change]
        )
        hold = beam.ParDo(
            HoldDoFn(self.hold_seconds, self.remember_seconds, self.clock)
        ).with_output_types(Patch, outcomes=Outcome)
        held = by_key | "Hold" >> hold.with_outputs("outcomes", main="patches")
        return CoalesceResult(held.patches, (held.outcomes,))

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return {
            "hold_seconds": DisplayDataItem(self.hold_seconds, label="Seconds held"),
            "remember_seconds": DisplayDataItem(self.remember_seconds, label="Seconds remembered"),
        }


class MergeBundleDoFn(beam.DoFn):
    """Folds what one bundle holds before it is shuffled, so that less is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tally = CoalesceCounters()

    def start_bundle(self) -> None:  # noqa: D102
        self._held: dict[int, Held] = {}

    def process(self, changes: Sequence[Change]) -> Iterator[Any]:  # noqa: D102
        self._tally.in_changes.inc(sum(not is_known(change) for change in changes))
        yield from self._tally.superseded(gather(self._held, changes), self._clock())

    def finish_bundle(self) -> Iterator[WindowedValue]:  # noqa: D102
        shards: dict[int, list[Change]] = {}
        for outreach_id, held in self._held.items():
            shards.setdefault(outreach_id % SHARDS, []).extend(held.values())
        self._held = {}
        window = GlobalWindow()
        for shard, changes in shards.items():
            yield WindowedValue((str(shard), changes), window.max_timestamp(), (window,))


class SettleShardDoFn(beam.DoFn):
    """Folds what the bundles of a shard's prospects left, and decides."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tally = CoalesceCounters()

    def process(  # noqa: D102
        self, shard: tuple[str, Iterable[Sequence[Change]]]
    ) -> Iterator[Any]:
        _, merged = shard
        held: dict[int, Held] = {}
        lost: list[Change] = []
        for changes in merged:
            lost += gather(held, changes)
        unchanged: list[Change] = []
        for best in held.values():
            winners, behind = settle(best)
            lost += behind
            known: dict[str, Known] = {}
            if remember(best, known):
                winners, late, same = weigh(winners, known)
                lost += late
                unchanged += same
            yield from self._tally.patch(winners)
        yield from self._tally.unchanged(unchanged, self._clock())
        yield from self._tally.superseded(lost, self._clock())
