"""An unbounded run in a test: Beam's TestStream, whose clock the stages are told too.

TestStream runs on Beam's BundleBasedDirectRunner. Its processing time starts at 0 and moves
only by `wait`, in whole milliseconds; the watermark follows it, as those of our sources do. When
the input ends, pending timers in processing time are dropped; those in event time at the end of
the window do fire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.direct import direct_runner
from apache_beam.runners.direct.clock import TestClock
from apache_beam.testing.test_stream import ProcessingTimeEvent, TestStream
from apache_beam.utils.timestamp import Timestamp


class Came(NamedTuple):
    """One element that came out."""

    at: float
    what: str
    element: Any


_clocks: list[TestClock] = []
_came: list[Came] = []


class ObservedClock(TestClock):
    """The runner's clock, for all to see."""

    __test__ = False

    def __init__(self, current_time: Timestamp | None = None) -> None:
        super().__init__(current_time)
        _clocks[:] = [self]


def stream_time() -> float:
    """Processing time, in seconds since the epoch: what a stage's clock gives.

    It is 0 before a stream and after it.
    """
    return _clocks[0].time() if _clocks else 0.0


def _note(element: Any, what: str) -> None:
    _came.append(Came(stream_time(), what, element))


Event = Callable[[TestStream], TestStream]


def wait(seconds: float) -> Event:
    """Time passes."""
    return lambda stream: stream.advance_processing_time(round(seconds, 3))


def come(*elements: Any) -> Event:
    """Elements come in."""
    return lambda stream: stream.add_elements(elements)


def flow(
    monkeypatch: pytest.MonkeyPatch,
    events: Sequence[Event],
    element_type: Any,
    stages: Callable[[PCollection], dict[str, PCollection]],
) -> list[Came]:
    """Runs a stream to its end; returns all that came out, with when, in its order.

    Args:
      monkeypatch: of the test.
      events: see `come` and `wait`.
      element_type: of what comes in.
      stages: makes of the input the collections to watch, by name.
    """
    monkeypatch.setattr(direct_runner, "TestClock", ObservedClock)
    _came.clear()
    stream = TestStream(coder=beam.coders.registry.get_coder(element_type))
    stream = stream.with_output_types(element_type)
    passed = 0.0
    for event in events:
        stream = event(stream)
        # Of what `wait` added, for no other event moves the time.
        last = stream._events[-1]
        if isinstance(last, ProcessingTimeEvent):
            passed += float(last.advance_by)
            stream = stream.advance_watermark_to(passed)
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    try:
        with beam.Pipeline(runner="BundleBasedDirectRunner", options=options) as pipeline:
            arrived = pipeline | stream.advance_watermark_to_infinity()
            for what, collection in stages(arrived).items():
                collection | f"Watch {what}" >> beam.Map(_note, what)
    finally:
        _clocks.clear()
    return list(_came)
