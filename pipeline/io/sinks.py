"""The ends of the graph: where arrivals come from, where receipts and dead letters go.

All that differs between runners and between files and topics is here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.textio import WriteToText
from apache_beam.pvalue import PCollection, TaggedOutput

from pipeline.io.pubsub_publisher import PublishLinesDoFn
from pipeline.io.targets import is_local, is_topic
from pipeline.runners import is_dataflow
from transforms.elements import DEFERRED, DeadLetter
from transforms.receipts import dead_letter_line


@dataclass
class WriteLines(beam.PTransform):
    """Writes lines to one file, as JSON Lines, or publishes each to a topic.

    A local file is appended to as lines come, so that it can be read while the job works;
    a file elsewhere is there when the job has ended, as Beam's sinks do it.

    Attributes:
      target: a path, anything that Beam's FileSystems write, or ``projects/P/topics/T``.
    """

    target: str

    def expand(self, lines: PCollection[Sequence[bytes]]) -> None:
        """PCollection[Sequence[bytes]], lines without their ends."""
        if is_local(self.target):
            lines | beam.ParDo(AppendLinesDoFn(self.target))
            return
        if is_topic(self.target) and not is_dataflow(lines.pipeline.options):
            lines | "Publish" >> beam.ParDo(PublishLinesDoFn(self.target))
            return
        single = lines | "Single" >> beam.FlatMap(_each).with_output_types(bytes)
        if is_topic(self.target):
            single | beam.io.WriteToPubSub(self.target)
        else:
            single | WriteToText(
                self.target, shard_name_template="", coder=beam.coders.BytesCoder()
            )


class AppendLinesDoFn(beam.DoFn):
    """Appends each element's lines with one write, which lines of other writers cannot split."""

    def __init__(self, path: str) -> None:
        self._path = path

    def setup(self) -> None:  # noqa: D102
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def teardown(self) -> None:  # noqa: D102
        os.close(self._file)

    def process(self, lines: Sequence[bytes]) -> None:  # noqa: D102
        left = memoryview(b"\n".join(lines) + b"\n") if lines else memoryview(b"")
        while left:
            left = left[os.write(self._file, left) :]


@dataclass
class WriteDeadLetters(beam.PTransform):
    """Writes dead letters as `WriteLines` does; without a target they are only counted.

    Attributes:
      target: as of `WriteLines`; None for none.
      deferred: where those go that are to be replayed as they are, since nothing was wrong with
        them; None for the same target.
    """

    target: str | None
    deferred: str | None = None

    def expand(self, letters: PCollection[DeadLetter]) -> None:
        """PCollection[DeadLetter]."""
        line = beam.ParDo(DeadLetterLineDoFn(apart=self.deferred is not None))
        typed = line.with_output_types(list[bytes], deferred=list[bytes])
        lines = letters | "Line" >> typed.with_outputs("deferred", main="refused")
        if self.target is not None:
            lines.refused | "Write" >> WriteLines(self.target)
        if self.deferred is not None:
            lines.deferred | "WriteDeferred" >> WriteLines(self.deferred)


class DeadLetterLineDoFn(beam.DoFn):
    """Writes out a dead letter, and counts it under its reason.

    Args:
      apart: whether those of what was deferred go to an output of their own.
    """

    def __init__(self, apart: bool) -> None:
        self._apart = apart

    def process(self, letter: DeadLetter) -> Iterator[Any]:  # noqa: D102
        beam.metrics.Metrics.counter("dead-letters", letter.reason).inc()
        line = [dead_letter_line(letter)]
        yield TaggedOutput("deferred", line) if self._apart and letter.reason == DEFERRED else line


def _each(lines: Sequence[bytes]) -> Sequence[bytes]:
    return lines
