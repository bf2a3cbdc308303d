"""The graph, the same for every runner: read, parse, map, coalesce, patch, receipts."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipeline.ends import WriteDeadLetters, WriteLines
from transforms.coalesce import Coalesce
from transforms.elements import Outcome
from transforms.map import Map
from transforms.mapping import Plan
from transforms.parse import Parse
from transforms.patch import PatchProspects, Rehearse
from transforms.receipts import Receipts


@dataclass
class Activation:
    """All that a run consists of.

    Attributes:
      source: gives PCollection[Block]; bounded or not decides how the stages expand.
      plan: what goes where.
      coalesce: with its delays set.
      patch: the sending, or its rehearsal.
      receipts: where receipts go; None to count them only.
      dead_letters: where dead letters go; None to count them only.
    """

    source: beam.PTransform
    plan: Plan
    coalesce: Coalesce
    patch: PatchProspects | Rehearse
    receipts: str | None
    dead_letters: str | None

    def build(self, pipeline: beam.Pipeline) -> None:
        """Puts the stages into a pipeline."""
        blocks = pipeline | "Read" >> self.source
        parsed = blocks | "Parse" >> Parse(self.plan.identity, self.plan.sources)
        mapped = parsed.arrived | "Map" >> Map(self.plan)
        coalesced = mapped.changes | "Coalesce" >> self.coalesce
        patched = coalesced.patches | "Patch" >> self.patch
        parsed.dead_letters | "Unreadable" >> WriteDeadLetters(self.dead_letters)
        # Each step writes its own: a Flatten would hold all back until the last one ends.
        for place, outcomes in enumerate((mapped.outcomes, *coalesced.outcomes, patched.outcomes)):
            outcomes | f"Settle{place}" >> Settle(self.receipts, self.dead_letters)


@dataclass
class Settle(beam.PTransform):
    """Writes the receipts and dead letters of outcomes to where they go."""

    receipts: str | None
    dead_letters: str | None

    def expand(self, outcomes: PCollection[Outcome]) -> None:
        """PCollection[Outcome]."""
        settled = outcomes | "Receipts" >> Receipts(written=self.receipts is not None)
        if self.receipts is not None:
            settled.receipts | "WriteReceipts" >> WriteLines(self.receipts)
        settled.dead_letters | "DeadLetters" >> WriteDeadLetters(self.dead_letters)
