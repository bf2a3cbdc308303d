"""The stage of receipts: one for each change, and dead letters of what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.typehints import with_input_types

from transforms.elements import OUTCOMES, DeadLetter, Outcome
from transforms.outreach.fields import PROSPECT
from transforms.receipts import dead_letters, receipts


class ReceiptsResult(NamedTuple):
    """Outputs of `Receipts`.

    Attributes:
      receipts: PCollection[Sequence[bytes]], the receipts of an outcome.
      dead_letters: PCollection[DeadLetter].
    """

    receipts: PCollection[Sequence[bytes]]
    dead_letters: PCollection[DeadLetter]


@with_input_types(Outcome)
@dataclass
class Receipts(beam.PTransform):
    """Makes of outcomes a receipt a change, and a dead letter a change not delivered.

    Attributes:
      written: False where nobody wants the receipts; they are counted all the same.
      kind: the object that is written, ``prospect`` or ``account``.
    """

    written: bool = True
    kind: str = PROSPECT

    def expand(self, outcomes: PCollection[Outcome]) -> ReceiptsResult:
        """PCollection[Outcome] to `ReceiptsResult`."""
        written = outcomes | beam.ParDo(ReceiptsDoFn(self.written, self.kind)).with_output_types(
            list[bytes], dead_letters=DeadLetter
        ).with_outputs("dead_letters", main="receipts")
        return ReceiptsResult(written.receipts, written.dead_letters)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return {"written": DisplayDataItem(self.written, label="Receipts are written")}


class ReceiptsDoFn(beam.DoFn):
    """See `Receipts`; counts each outcome under its own name."""

    def __init__(self, written: bool, kind: str = PROSPECT) -> None:
        self._written = written
        self._kind = kind
        self._out = {name: Metrics.counter("receipts", f"out-{name}") for name in OUTCOMES}
        self._in_changes = Metrics.counter("receipts", "in-changes")
        self._out_dead_letters = Metrics.counter("receipts", "out-dead-letters")

    def process(self, outcome: Outcome) -> Iterator[Any]:  # noqa: D102
        self._in_changes.inc(len(outcome.changes))
        self._out[outcome.outcome].inc(len(outcome.changes))
        if self._written:
            yield receipts(outcome, self._kind)
        for letter in dead_letters(outcome):
            self._out_dead_letters.inc()
            yield TaggedOutput("dead_letters", letter)
