"""A Pub/Sub subscription as a source for Beam's portable runners, such as Prism and Flink.

Dataflow brings a reader of its own, which the others lack. A message is acknowledged once the
runner has committed what came of it: on Flink with a checkpoint, on Prism with a bundle. One that
is not comes again, and is known by its id where a prospect's changes are held.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.coders import Coder, VarIntCoder
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from pipeline.io.streaming_pull import PULLS, StreamingPull
from pipeline.runners import is_dataflow
from transforms.clock import micros, steady
from transforms.elements import Block
from transforms.plan import SOURCE_ATTRIBUTE, SOURCE_PREFIX

BUNDLE_MESSAGES: Final = 500
BUNDLE_SECONDS: Final = 1.0
"""After so much a bundle ends, so that what it brought goes on and is acknowledged."""
POLL_SECONDS: Final = 0.5
"""How long a reader that found nothing is left alone."""


class DrainSwitch:
    """Lets a job be drained by its own process: once shut, its readers end, and so does its input.

    Only readers in the process that shuts it see that. There they are on Prism, and on any runner
    with ``--environment_type=LOOPBACK``. Elsewhere a job is drained by its runner.
    """

    def __init__(self) -> None:
        self._shut = threading.Event()

    def shut(self) -> None:
        """No more is read."""
        self._shut.set()

    def open(self) -> None:
        """As at the start."""
        self._shut.clear()

    @property
    def is_shut(self) -> bool:
        """Whether `shut` was called."""
        return self._shut.is_set()


DRAIN: Final = DrainSwitch()
"""This process's own: a reader is made by a runner, and cannot be handed one."""


@dataclass
class PullMessages(beam.PTransform):
    """Reads a subscription, a block a message; at least once, for as long as the job runs.

    Attributes:
      subscription: ``projects/P/subscriptions/S``.
      readers: how many pull side by side; a runner may give each a worker of its own.
    """

    subscription: str
    readers: int = 1

    def expand(self, begin: PBegin) -> PCollection[Block]:
        """PBegin to PCollection[Block]."""
        read = ReadFromUnboundedSource(
            PulledSource(self.subscription, self.readers),
            poll_interval=POLL_SECONDS,
            max_records_per_bundle=BUNDLE_MESSAGES,
            max_read_time_seconds=BUNDLE_SECONDS,
        )
        return begin | "Pull" >> read.with_output_types(Block)


@dataclass(frozen=True)
class PulledSource(UnboundedSource):
    """See `PullMessages`.

    Attributes:
      subscription: its full name.
      readers: into how many it may be split.
      place: which of them this is; two readers must never be taken for each other.
    """

    subscription: str
    readers: int = 1
    place: int = 0

    def split(self, desired_num_splits: int, options: object = None) -> Sequence[PulledSource]:
        """As many as were asked for: Pub/Sub shares the messages out among all who pull."""
        del options
        parts = max(1, min(self.readers, desired_num_splits))
        return [PulledSource(self.subscription, 1, place) for place in range(parts)]

    def create_reader(
        self, options: object, checkpoint_mark: CheckpointMark | None
    ) -> PullingReader:
        """A new one, which begins with whatever is not acknowledged; so does one that resumes."""
        del options, checkpoint_mark
        return PullingReader(self.subscription)

    def get_checkpoint_mark_coder(self) -> Coder:
        """See `PullMarkCoder`."""
        return PullMarkCoder()

    def default_output_coder(self) -> Coder:
        """Of blocks."""
        return beam.coders.registry.get_coder(Block)


class PullingReader(UnboundedReader):
    """Hands on what its process pulls, without waiting; holds nothing back for itself.

    Args:
      subscription: its full name.
      clock: seconds since the epoch.
    """

    def __init__(self, subscription: str, clock: Callable[[], float] = steady) -> None:
        self._subscription = subscription
        self._clock = clock
        self._pull: StreamingPull | None = None
        self._handed: list[Any] = []
        self._current: Any = None

    def start(self) -> bool:
        """Sees to it that something is pulled; there is mostly nothing yet."""
        self._pull = PULLS.lend(self._subscription)
        return self.advance()

    def advance(self) -> bool:
        """On to the next message, if there is one.

        Raises:
          ActivationError: pulling has ended by itself, and why.
        """
        if DRAIN.is_shut or self._pull is None:
            return False
        message = self._pull.next()
        if message is None:
            return False
        self._current = message
        self._handed.append(message)
        return True

    def get_current(self) -> Block:
        """The message as a block of one line."""
        message = self._current
        return Block(
            source=source_of(message.attributes, self._subscription),
            position=0,
            lines=[message.data],
            published=micros(message.publish_time.timestamp()),
            message_id=message.message_id,
        )

    def get_current_timestamp(self) -> Timestamp:
        """When it was published."""
        return Timestamp.of(self._current.publish_time.timestamp())

    def get_watermark(self) -> Timestamp:
        """Now: nothing waits for it but the end of the job, and nothing can be late."""
        return MAX_TIMESTAMP if DRAIN.is_shut else Timestamp.of(self._clock())

    def get_checkpoint_mark(self) -> PullMark:
        """Of all that was handed on since the last one."""
        handed, self._handed = self._handed, []
        return PullMark(secrets.randbits(62), self._pull, handed)

    def close(self) -> None:
        """Gives back what no mark is to acknowledge."""
        if self._pull is not None:
            self._pull.give_back(self._handed)
            PULLS.take_back(self._pull)
            self._pull = None
        self._handed = []


@dataclass(frozen=True)
class PullMark(CheckpointMark):
    """What was handed on between two checkpoints, to be acknowledged when that is committed.

    Only its number travels: a reader has no position to resume from, and messages can be
    acknowledged only where they were pulled.
    """

    number: int
    pull: StreamingPull | None = None
    messages: Sequence[Any] = ()

    def finalize_checkpoint(self) -> None:
        """Acknowledges them; called by the runner, at most once and perhaps never."""
        if self.pull is not None:
            self.pull.acknowledge(self.messages)


class PullMarkCoder(Coder):
    """See `PullMark`."""

    _number = VarIntCoder()

    def encode(self, value: PullMark) -> bytes:
        """Its number."""
        return self._number.encode(value.number)

    def decode(self, encoded: bytes) -> PullMark:
        """Of nothing."""
        return PullMark(self._number.decode(encoded))

    def is_deterministic(self) -> bool:
        """It is."""
        return True


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
        source=source_of(message.attributes or {}, subscription),
        position=0,
        lines=[message.data],
        published=published.micros if moment is None else micros(moment.timestamp()),
        message_id=message.message_id or None,
    )


def source_of(attributes: Mapping[str, str], subscription: str) -> str:
    """What a message came from: the source that posted it at the door, else the subscription."""
    posted = attributes.get(SOURCE_ATTRIBUTE)
    return subscription if posted is None else SOURCE_PREFIX + posted
