"""What the ledger's loop and the stages of its runs hand each other, within this process.

A loop runs the graph's halves over what is in the ledger, many times. Its input and output
are plain lists; the stages find the loop's by the name under which it offers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from transforms.stages.patch import Outlet

_trays: dict[str, Tray] = {}


@dataclass(slots=True)
class Tray:
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
def offered(name: str, tray: Tray) -> Iterator[None]:
    """Offers a tray to the stages of a run under a name, for as long as the block lasts."""
    _trays[name] = tray
    try:
        yield
    finally:
        del _trays[name]


@dataclass
class Given(beam.PTransform):
    """The source of a run: what its tray gives."""

    tray: str
    element: type

    def expand(self, begin: PBegin) -> PCollection[Any]:
        """PBegin to a collection of the tray's elements."""
        return (
            begin
            | "Once" >> beam.Impulse()
            | "Give" >> beam.ParDo(GiveDoFn(self.tray)).with_output_types(self.element)
        )


class GiveDoFn(beam.DoFn):
    """See `Given`."""

    def __init__(self, tray: str) -> None:
        self._tray = tray

    def process(self, impulse: bytes) -> Iterator[Any]:  # noqa: D102
        del impulse
        yield from _trays[self._tray].given


@dataclass
class Put(beam.PTransform):
    """The end of a run: takes each result to its tray, under a kind."""

    tray: str
    kind: str

    def expand(self, results: PCollection[Any]) -> PCollection[Any]:
        """Any collection to nothing."""
        return results | beam.ParDo(PutDoFn(self.tray, self.kind))


class PutDoFn(beam.DoFn):
    """See `Put`."""

    def __init__(self, tray: str, kind: str) -> None:
        self._tray = tray
        self._kind = kind

    def process(self, result: Any) -> None:  # noqa: ANN401, D102
        _trays[self._tray].put(self._kind, result)


@dataclass(frozen=True)
class OutletOf:
    """The outlet of a tray, for `PatchProspects.outlet`."""

    tray: str

    def __call__(self) -> Outlet:
        """The outlet, which outlives the run."""
        outlet = _trays[self.tray].outlet
        if outlet is None:
            raise LookupError(f"tray {self.tray} has no outlet")
        return outlet
