"""The ends of the graph: where arrivals come from, where receipts and dead letters go.

All that differs between runners and between files and topics is here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.io.textio import WriteToText
from apache_beam.pvalue import PBegin, PCollection, TaggedOutput
from apache_beam.utils.timestamp import Timestamp

from pipeline.io.pubsub_publisher import PublishLinesDoFn
from pipeline.io.pubsub_source import PullMessages
from pipeline.runners import is_dataflow
from transforms.clock import micros
from transforms.elements import DEFERRED, Block, DeadLetter
from transforms.errors import ConfigurationError
from transforms.stages.receipts import dead_letter_line

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")
_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]*://")


def is_topic(target: str) -> bool:
    """Whether an output is a Pub/Sub topic rather than a file."""
    return target.startswith("projects/")


def is_local(target: str) -> bool:
    """Whether an output is a file of this machine."""
    return not is_topic(target) and not _REMOTE.match(target)


def check_subscription(name: str) -> None:
    """Returns where a name may be that of a Pub/Sub subscription.

    Raises:
      ConfigurationError: it cannot be.
    """
    if not _SUBSCRIPTION.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no subscription; name it as projects/PROJECT/subscriptions/NAME"
        )


@dataclass
class ReadMessages(beam.PTransform):
    """Reads a Pub/Sub subscription, a block a message, as the runner does it best.

    Attributes:
      subscription: ``projects/P/subscriptions/S``.
      readers: as of `PullMessages`; Dataflow decides for itself.
    """

    subscription: str
    readers: int = 1

    def expand(self, begin: PBegin) -> PCollection[Block]:
        """PBegin to PCollection[Block], unbounded."""
        if not is_dataflow(begin.pipeline.options):
            return begin | PullMessages(self.subscription, self.readers)
        messages = begin | beam.io.ReadFromPubSub(
            subscription=self.subscription, with_attributes=True
        )
        return messages | "Block" >> beam.FlatMap(
            block_of_message, self.subscription
        ).with_output_types(Block)


def block_of_message(
    message: PubsubMessage,
    subscription: str,
    published: Timestamp = beam.DoFn.TimestampParam,
) -> Iterator[Block]:
    """A message that Dataflow read, as a block of one line.

    Args:
      message: as Dataflow gives it, perhaps without its id. Its bytes tell it apart then.
      subscription: where it came from.
      published: the element's timestamp: the same, where the message does not say when.
    """
    moment = message.publish_time
    yield Block(
        source=subscription,
        position=0,
        lines=[message.data],
        published=published.micros if moment is None else micros(moment.timestamp()),
        message_id=message.message_id or None,
    )


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


def prepare(target: str, inputs: Sequence[str], *, aside: bool = True) -> str | None:
    """Makes way for an output file; returns where an earlier one was put, if there was one.

    Args:
      target: the output.
      inputs: files that are read.
      aside: whether an earlier file is put aside, rather than written on.

    Raises:
      ConfigurationError: the target is also an input, or cannot be written.
    """
    if not is_local(target):
        return None
    path = Path(target)
    if any(Path(name).exists() and path.exists() and path.samefile(name) for name in inputs):
        raise ConfigurationError(f"{target} is both read and written; write to another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if aside and path.is_file() and path.stat().st_size > 0:
            earlier = path.with_name(path.name + ".previous")
            path.replace(earlier)
            return str(earlier)
        with path.open("ab"):
            pass
    except OSError as problem:
        raise ConfigurationError(
            f"{target} cannot be written: {problem.strerror}; name a file that can"
        ) from problem
    return None
