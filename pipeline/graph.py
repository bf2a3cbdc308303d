"""The graph, the same for every runner: read, parse, (resolve,) map, coalesce, patch, receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipeline.io.settle import Settle
from pipeline.io.sinks import WriteDeadLetters
from transforms.elements import Change, DeadLetter, Exclusion, Outcome, Patch, Unresolved
from transforms.mapping import Plan
from transforms.matching import BY_ID, LookupSource
from transforms.stages.coalesce import Coalesce
from transforms.stages.map import Map
from transforms.stages.parse import Parse
from transforms.stages.patch import PatchProspects, PatchResult, Rehearse
from transforms.stages.refuse_unresolved import RefuseUnresolved
from transforms.stages.resolve import Resolve


@dataclass
class Activation:
    """All that a run consists of.

    Attributes:
      plan: what goes where.
      coalesce: with its delays set.
      patch: the sending, or its rehearsal.
      receipts: where receipts go; None to count them only.
      dead_letters: where dead letters go; None to count them only.
      deferred: where those go that a drained job left; None for where the others go.
      directory: where prospects are found by what the plan matches by; None where by their ids.
    """

    plan: Plan
    coalesce: Coalesce
    patch: PatchProspects | Rehearse
    receipts: str | None = None
    dead_letters: str | None = None
    deferred: str | None = None
    directory: LookupSource | beam.PTransform | None = None

    def build(self, pipeline: beam.Pipeline, source: beam.PTransform) -> None:
        """From arrivals to receipts; `source` gives PCollection[Block], bounded or not."""
        gathered = self.gather(pipeline, source)
        delivered = self.deliver(gathered.patches)
        gathered.dead_letters | "Unreadable" >> WriteDeadLetters(self.dead_letters)
        targets = (self.receipts, self.dead_letters, self.deferred)
        # Each step writes its own: a Flatten would hold all back until the last one ends.
        for place, outcomes in enumerate((*gathered.outcomes, delivered.outcomes)):
            outcomes | f"Settle{place}" >> Settle(*targets, self.plan.object)

    def gather(self, pipeline: beam.Pipeline, source: beam.PTransform) -> Gathered:
        """The first half: from arrivals to one patch a prospect."""
        mapped = self.take_in(pipeline, source)
        coalesced = mapped.changes | "Coalesce" >> self.coalesce
        outcomes = (mapped.outcomes, *coalesced.outcomes)
        if (unknown := mapped.unresolved) is not None:
            outcomes += (unknown | "RefuseUnresolved" >> RefuseUnresolved.of(self.plan),)
        return Gathered(coalesced.patches, outcomes, mapped.dead_letters)

    def take_in(self, pipeline: beam.Pipeline, source: beam.PTransform) -> TakenIn:
        """The first half without coalesce, where a ledger does that: from arrivals to changes."""
        blocks = pipeline | "Read" >> source
        arrived, letters, excluded = blocks | "Parse" >> Parse.of(self.plan)
        unresolved = None
        if self.plan.match != BY_ID:
            arrived, unresolved = arrived | "Resolve" >> Resolve(self.plan, self.directory)
        mapped = arrived | "Map" >> Map(self.plan)
        return TakenIn(mapped.changes, mapped.outcomes, letters, excluded, unresolved)

    def deliver(self, patches: PCollection[Patch]) -> PatchResult:
        """The second half: from patches to what became of them."""
        return patches | "Patch" >> self.patch


class TakenIn(NamedTuple):
    """What read, parse, resolve and map give; without resolve nothing is unresolved."""

    changes: PCollection[Sequence[Change]]
    outcomes: PCollection[Outcome]
    dead_letters: PCollection[DeadLetter]
    exclusions: PCollection[Exclusion]
    unresolved: PCollection[Unresolved] | None = None


class Gathered(NamedTuple):
    """What the first half of the graph gives."""

    patches: PCollection[Patch]
    outcomes: tuple[PCollection[Outcome], ...]
    dead_letters: PCollection[DeadLetter]
