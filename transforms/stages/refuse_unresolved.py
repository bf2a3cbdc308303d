"""What becomes of changes whose prospect is not to be found: dead letters, to be replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection
from apache_beam.typehints import with_input_types

from transforms.clock import micros, steady
from transforms.elements import REJECTED, Outcome
from transforms.stages.resolve import Unresolved

PROSPECT_UNKNOWN = "prospect_unknown"
IDENTITY_AMBIGUOUS = "identity_ambiguous"


def refused(unresolved: Unresolved, match: str, now: int) -> Outcome:
    """What becomes of changes whose prospect is not to be found."""
    what = match.replace("_", " ")
    if unresolved.prospects:
        return Outcome(
            REJECTED,
            unresolved.changes,
            now,
            reason=IDENTITY_AMBIGUOUS,
            detail=f"{unresolved.prospects} prospects have this {what}; merge them in Outreach, and"
            " replay this",
            key=unresolved.key,
            match=match,
        )
    return Outcome(
        REJECTED,
        unresolved.changes,
        now,
        reason=PROSPECT_UNKNOWN,
        detail=f"Outreach has no prospect with this {what}, or none that the user may see; replay"
        " this once there is one",
        key=unresolved.key,
        match=match,
    )


@with_input_types(Unresolved)
@dataclass
class RefuseUnresolved(beam.PTransform):
    """Makes outcomes of what is not resolved, where nothing can wait for another directory.

    Attributes:
      match: by what prospects are known.
      clock: seconds since the epoch.
    """

    match: str
    clock: Callable[[], float] = steady

    def expand(self, unresolved: PCollection[Unresolved]) -> PCollection[Outcome]:
        """PCollection[Unresolved] to PCollection[Outcome]."""
        return unresolved | beam.ParDo(
            RefuseUnresolvedDoFn(self.match, self.clock)
        ).with_output_types(Outcome)


class RefuseUnresolvedDoFn(beam.DoFn):
    """See `RefuseUnresolved`."""

    def __init__(self, match: str, clock: Callable[[], float]) -> None:
        self._match = match
        self._clock = clock
        self._out_rejected = Metrics.counter("resolve", "out-rejected")

    def process(self, unresolved: Unresolved) -> Iterator[Outcome]:  # noqa: D102
        self._out_rejected.inc(len(unresolved.changes))
        yield refused(unresolved, self._match, micros(self._clock()))
