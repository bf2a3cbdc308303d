"""What becomes of changes whose prospect is not to be found: dead letters, to be replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection
from apache_beam.typehints import with_input_types

from transforms.clock import micros, steady
from transforms.elements import REJECTED, Outcome, Unresolved
from transforms.matching import kind_of, natural_keys
from transforms.outreach.fields import OBJECTS, PROSPECT
from transforms.plan import Plan

PROSPECT_UNKNOWN = "prospect_unknown"
IDENTITY_AMBIGUOUS = "identity_ambiguous"


def refused(unresolved: Unresolved, match: str, now: int, kind: str = PROSPECT) -> Outcome:
    """What becomes of changes whose prospect or account is not to be found."""
    key, what = unresolved.key, match.replace("_", " ")
    if keys := natural_keys(match):
        natural = kind_of(keys, key)
        match, key = natural.match, natural.text(key, unresolved.spelling)
        what = natural.match
    if unresolved.prospects:
        reason = IDENTITY_AMBIGUOUS
        detail = (
            f"{unresolved.prospects} {OBJECTS[kind].plural} have this {what}; merge them in"
            " Outreach, and replay this"
        )
    else:
        reason = PROSPECT_UNKNOWN
        detail = (
            f"Outreach has no {kind} with this {what}, or none that the user may see; replay"
            " this once there is one"
        )
    return Outcome(
        REJECTED, unresolved.changes, now, reason=reason, detail=detail, key=key, match=match
    )


@with_input_types(Unresolved)
@dataclass
class RefuseUnresolved(beam.PTransform):
    """Makes outcomes of what is not resolved, where nothing can wait for another directory.

    Attributes:
      match: by what prospects are known.
      clock: seconds since the epoch.
      kind: of object that is written.
    """

    match: str
    clock: Callable[[], float] = steady
    kind: str = PROSPECT

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """As a plan says."""
        return cls(plan.match, kind=plan.object)

    def expand(self, unresolved: PCollection[Unresolved]) -> PCollection[Outcome]:
        """PCollection[Unresolved] to PCollection[Outcome]."""
        return unresolved | beam.ParDo(
            RefuseUnresolvedDoFn(self.match, self.clock, self.kind)
        ).with_output_types(Outcome)


class RefuseUnresolvedDoFn(beam.DoFn):
    """See `RefuseUnresolved`."""

    def __init__(self, match: str, clock: Callable[[], float], kind: str) -> None:
        self._match = match
        self._kind = kind
        self._clock = clock
        self._out_rejected = Metrics.counter("resolve", "out-rejected")

    def process(self, unresolved: Unresolved) -> Iterator[Outcome]:  # noqa: D102
        self._out_rejected.inc(len(unresolved.changes))
        yield refused(unresolved, self._match, micros(self._clock()), self._kind)
