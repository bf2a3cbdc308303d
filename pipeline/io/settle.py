"""The end of the graph: receipts and dead letters of outcomes, to where they go."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipeline.io.sinks import WriteDeadLetters, WriteLines
from transforms.elements import Outcome
from transforms.outreach.fields import PROSPECT
from transforms.stages.receipts import Receipts


@dataclass
class Settle(beam.PTransform):
    """Writes the receipts and dead letters of outcomes to where they go."""

    receipts: str | None
    dead_letters: str | None
    deferred: str | None = None
    kind: str = PROSPECT

    def expand(self, outcomes: PCollection[Outcome]) -> None:
        """PCollection[Outcome]."""
        settled = outcomes | "Receipts" >> Receipts(self.receipts is not None, self.kind)
        if self.receipts is not None:
            settled.receipts | "WriteReceipts" >> WriteLines(self.receipts)
        settled.dead_letters | "DeadLetters" >> WriteDeadLetters(self.dead_letters, self.deferred)
