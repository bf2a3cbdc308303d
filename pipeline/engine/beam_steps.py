"""The two halves of the graph that run over a ledger, each a bounded run in this process.

*Intake* is read, parse and map over blocks that arrived; *delivery* is patch over patches that
are due. Between them is coalesce: the ledger does that, with the same fold, as it is what
remembers (`pipeline.ledger.waiting`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.graph import Activation
from pipeline.summary import Counts
from transforms.elements import Block, Change, DeadLetter, Exclusion, Outcome, Patch, Unresolved
from transforms.mapping import Plan
from transforms.matching import LookupSource
from transforms.stages.coalesce import Coalesce
from transforms.stages.map import UNMAPPED
from transforms.stages.patch import Outlet, PatchProspects, Rehearse

INTAKE = "intake"
DELIVERY = "delivery"
BLOCKS = "blocks"
OUTCOMES = "outcomes"
DEAD_LETTERS = "dead_letters"
UNRESOLVED = "unresolved"
EXCLUSIONS = "exclusions"


class OnceBuilt(FnApiRunner):
    """Runs one pipeline many times: what its first run built of it, the others run.

    To build it takes longer than to run a handful of elements. Each run gets a copy, and workers
    of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._built: Any = None

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> Any:  # noqa: ANN401, D102 - Beam's
        if self._built is None:
            return super().run_pipeline(pipeline, options)
        return self.run_via_runner_api(self._built, options)

    def run_via_runner_api(self, pipeline_proto: Any, options: PipelineOptions) -> Any:  # noqa: ANN401, D102 - Beam's
        if self._built is None:
            self._built = pipeline_proto
        copy = type(pipeline_proto)()
        copy.CopyFrom(self._built)
        return super().run_via_runner_api(copy, options)


@dataclass(slots=True)
class IntakeResult:
    """What an intake gave.

    Attributes:
      blocks: of changes.
      outcomes: of changes that ended there.
      dead_letters: of what could not be read.
      unresolved: changes whose prospects are not known.
      exclusions: what conditions kept out.
      counts: as the stages counted.
    """

    blocks: list[Sequence[Change]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    counts: Counts = field(default_factory=lambda: Counts({}))

    def put(self, kind: str, result: Any) -> None:  # noqa: ANN401 - what the kind says
        """Adds a result of the run to the list of its kind."""
        lists: dict[str, list[Any]] = {
            BLOCKS: self.blocks,
            OUTCOMES: self.outcomes,
            DEAD_LETTERS: self.dead_letters,
            UNRESOLVED: self.unresolved,
            EXCLUSIONS: self.exclusions,
        }
        lists[kind].append(result)

    @property
    def changes(self) -> list[Change]:
        """All of them, in the order of arrival."""
        return [change for block in self.blocks for change in block]

    @property
    def totals(self) -> dict[str, int]:
        """What is added to the ledger's running totals."""
        counts = self.counts
        return {
            "records": counts["parse/in-records"],
            "unreadable": counts["parse/out-dead-letters"],
            "unmapped": counts["map/out-unmapped"],
            "skewed": counts["parse/out-skewed"],
            "excluded": counts["parse/out-excluded"],
            "changes": counts["map/out-changes"] + counts["map/out-rejected"],
            **{f"{UNMAPPED}/{segment}": n for segment, n in counts.unmapped.items()},
        }


class BeamSteps:
    """Both halves, built once and run many times: to build one takes longer than to run it.

    Args:
      plan: what goes where.
      patch: the sending, through the outlet that is handed over, or its rehearsal.
      clock: seconds since the epoch.
      directory: where prospects are found, where the plan does not match by their ids.
    """

    def __init__(
        self,
        plan: Plan,
        patch: PatchProspects | Rehearse,
        clock: Callable[[], float],
        directory: LookupSource | None = None,
    ) -> None:
        activation = Activation(plan, Coalesce(clock=clock), patch, directory=directory)
        self._intake = beam.Pipeline(runner=OnceBuilt())
        arrived = activation.take_in(self._intake, Given(INTAKE, Block))
        arrived.changes | "Changes" >> Put(INTAKE, BLOCKS)
        arrived.outcomes | "Outcomes" >> Put(INTAKE, OUTCOMES)
        arrived.dead_letters | "DeadLetters" >> Put(INTAKE, DEAD_LETTERS)
        arrived.exclusions | "Exclusions" >> Put(INTAKE, EXCLUSIONS)
        if arrived.unresolved is not None:
            arrived.unresolved | "Unresolved" >> Put(INTAKE, UNRESOLVED)
        self._delivery = beam.Pipeline(runner=OnceBuilt())
        sent = activation.deliver(self._delivery | "Queue" >> Given(DELIVERY, Patch))
        sent.outcomes | "Outcomes" >> Put(DELIVERY, "outcome")
        if sent.kept is not None:
            sent.kept | "Kept" >> Put(DELIVERY, "kept")

    def take_in(self, blocks: Sequence[Block]) -> IntakeResult:
        """Runs the first over blocks."""
        arrived = IntakeResult()
        arrived.counts = _run(self._intake, INTAKE, StepIO(blocks, arrived.put))
        return arrived

    def deliver(
        self, patches: Sequence[Patch], outlet: Outlet, put: Callable[[str, Any], None]
    ) -> Counts:
        """Runs the second over patches.

        Args:
          patches: at most one a prospect.
          outlet: what they are sent with.
          put: is called with each result as it is known, on a thread of the run's: ``outcome``
            or ``kept``, and the result.
        """
        return _run(self._delivery, DELIVERY, StepIO(patches, put, outlet))


def _run(pipeline: beam.Pipeline, name: str, step_io: StepIO) -> Counts:
    with offer_step_io(name, step_io):
        result = pipeline.run()
        result.wait_until_finish()
    return Counts.of(result)


_offered: dict[str, StepIO] = {}


@dataclass(slots=True)
class StepIO:
    """What one run is given, and takes its results to.

    Attributes:
      given: elements of its source.
      put: is called with the kind and the value of each result, on a thread of the run's.
      outlet: of its patch stage; None where it has none.
    """

    given: Sequence[Any]
    put: Callable[[str, Any], None]
    outlet: Outlet | None = None


@contextmanager
def offer_step_io(name: str, step_io: StepIO) -> Iterator[None]:
    """Offers the input and output of a run to its stages by name, while the block lasts."""
    _offered[name] = step_io
    try:
        yield
    finally:
        del _offered[name]


@dataclass
class Given(beam.PTransform):
    """The source of a run: the elements that were handed to it."""

    step_io: str
    element: type

    def expand(self, begin: PBegin) -> PCollection[Any]:
        """PBegin to a collection of those elements."""
        return (
            begin
            | "Once" >> beam.Impulse()
            | "Give" >> beam.ParDo(GiveDoFn(self.step_io)).with_output_types(self.element)
        )


class GiveDoFn(beam.DoFn):
    """See `Given`."""

    def __init__(self, step_io: str) -> None:
        self._step_io = step_io

    def process(self, impulse: bytes) -> Iterator[Any]:  # noqa: D102
        del impulse
        yield from _offered[self._step_io].given


@dataclass
class Put(beam.PTransform):
    """The end of a run: hands each result to the caller, under a kind."""

    step_io: str
    kind: str

    def expand(self, results: PCollection[Any]) -> PCollection[Any]:
        """Any collection to nothing."""
        return results | beam.ParDo(PutDoFn(self.step_io, self.kind))


class PutDoFn(beam.DoFn):
    """See `Put`."""

    def __init__(self, step_io: str, kind: str) -> None:
        self._step_io = step_io
        self._kind = kind

    def process(self, result: Any) -> None:  # noqa: ANN401, D102
        _offered[self._step_io].put(self._kind, result)


@dataclass(frozen=True)
class StepOutlet:
    """The outlet that was handed to a run, for `PatchProspects.outlet`."""

    step_io: str

    def __call__(self) -> Outlet:
        """The outlet, which outlives the run."""
        outlet = _offered[self.step_io].outlet
        if outlet is None:
            raise LookupError(f"{self.step_io} has no outlet")
        return outlet
