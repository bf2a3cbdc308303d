"""The two halves of the graph, each a bounded run of Beam's in this process.

*Intake* is read, parse, map and coalesce over blocks that arrived; *delivery* is patch over
patches that are due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.graph import Activation
from pipeline.handover import Given, OutletOf, Put, Tray, offered
from pipeline.summary import Counts
from transforms.coalesce import Coalesce
from transforms.elements import Block, Change, DeadLetter, Outcome, Patch
from transforms.mapping import Plan
from transforms.outreach.desk import Access
from transforms.outreach.sender import Delivery
from transforms.patch import Outlet, PatchProspects

INTAKE = "intake"
DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Graph:
    """What the stages of both halves need to know.

    Attributes:
      plan: what goes where.
      base_url: of the API.
      accesses: the users.
      delivery: how patches are sent.
      clock: seconds since the epoch.
    """

    plan: Plan
    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery
    clock: Callable[[], float]

    def activation(self) -> Activation:
        """The graph, whose patch stage sends with the outlet of the delivery's tray."""
        patch = PatchProspects(
            self.base_url,
            self.accesses,
            self.delivery,
            outlet=OutletOf(DELIVERY),
            clock=self.clock,
        )
        return Activation(self.plan, Coalesce(clock=self.clock), patch)


@dataclass(slots=True)
class Gathered:
    """What an intake gave.

    Attributes:
      patches: one a prospect.
      outcomes: of changes that ended there.
      dead_letters: of what could not be read.
      counts: as the stages counted.
    """

    patches: list[Patch] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    counts: Counts = field(default_factory=lambda: Counts({}))

    def put(self, kind: str, result: Any) -> None:  # noqa: ANN401 - what the kind says
        """Takes a result of the run; the kinds are the lists."""
        getattr(self, kind).append(result)

    @property
    def changes(self) -> list[Change]:
        """All that is to be sent."""
        return [change for patch in self.patches for change in patch.changes]


def run_intake(graph: Graph, blocks: Sequence[Block]) -> Gathered:
    """Runs the first half over blocks."""
    gathered = Gathered()
    pipeline = beam.Pipeline(runner=FnApiRunner())
    result = graph.activation().gather(pipeline, Given(INTAKE, Block))
    result.patches | "Patches" >> Put(INTAKE, "patches")
    result.dead_letters | "DeadLetters" >> Put(INTAKE, "dead_letters")
    for place, outcomes in enumerate(result.outcomes):
        outcomes | f"Outcomes{place}" >> Put(INTAKE, "outcomes")
    gathered.counts = _run(pipeline, INTAKE, Tray(blocks, gathered.put))
    return gathered


def run_delivery(
    graph: Graph, patches: Sequence[Patch], outlet: Outlet, put: Callable[[str, Any], None]
) -> Counts:
    """Runs the second half over patches.

    Args:
      graph: whose half it is.
      patches: at most one a prospect.
      outlet: what they are sent with.
      put: is called with each result as it is known, on a thread of the run's: ``outcome`` or
        ``kept``, and the result.
    """
    pipeline = beam.Pipeline(runner=FnApiRunner())
    result = graph.activation().deliver(pipeline | "Queue" >> Given(DELIVERY, Patch))
    result.outcomes | "Outcomes" >> Put(DELIVERY, "outcome")
    result.kept | "Kept" >> Put(DELIVERY, "kept")
    return _run(pipeline, DELIVERY, Tray(patches, put, outlet))


def _run(pipeline: beam.Pipeline, name: str, tray: Tray) -> Counts:
    with offered(name, tray):
        result = pipeline.run()
        result.wait_until_finish()
    return Counts.of(result)
