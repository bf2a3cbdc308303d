"""Parse: from arrivals, as bytes, to changes of memberships and attributes.

`parse` does it for a block, `Parse` for a collection of them. What cannot be read becomes a
dead letter and costs no more than the part that is wrong (the formats: `transforms.formats`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.typehints import with_input_types

from transforms.clock import micros, steady
from transforms.coders import register
from transforms.elements import AttributeChange, Block, DeadLetter, MembershipChange
from transforms.formats.attribute_paths import wanted
from transforms.formats.context import RecordContext
from transforms.formats.csv_rows import read_header
from transforms.formats.decode import digest, read_arrival, read_row_arrival


class Parsed(NamedTuple):
    """All that one block held, each list in the order of arrival.

    Attributes:
      memberships: every one, mapped or not.
      attributes: those that were asked for.
      dead_letters: of stage ``parse``.
      arrivals: lines, rows or messages read; blank ones are not counted.
    """

    memberships: list[MembershipChange]
    attributes: list[AttributeChange]
    dead_letters: list[DeadLetter]
    arrivals: int


def parse(block: Block, identity: str, sources: Sequence[str], recorded_at: int) -> Parsed:
    """Reads each arrival of a block; raises nothing, whatever its bytes are.

    Args:
      block: of JSON values or, if it has a header, of CSV rows.
      identity: the identityMap namespace whose id is the OutreachId.
      sources: paths of the attributes to look for, such as ``person.name.firstName``.
      recorded_at: for the dead letters, in microseconds since the epoch.
    """
    reading = RecordContext(block, identity, wanted(tuple(sources)), recorded_at)
    arrivals = _read_lines(block, reading) if block.header is None else _read_rows(block, reading)
    return Parsed(reading.memberships, reading.attributes, reading.dead_letters, arrivals)


def _read_lines(block: Block, reading: RecordContext) -> int:
    arrivals = 0
    number = block.line
    place = block.position if block.published is None else block.published
    message = None if block.message_id is None else digest(block.message_id.encode())
    for index, line in enumerate(block.lines):
        if not line or line.isspace():
            continue
        arrivals += 1
        if message is None:
            reading.begin(number + index, place + index)
            read_arrival(line, reading)
        else:
            reading.begin(number + index, place)
            read_arrival(line, reading, f"{message}-{index}" if index else message)
    return arrivals


def _read_rows(block: Block, reading: RecordContext) -> int:
    arrivals = 0
    number = block.line
    head = (block.header or "").encode()
    header = read_header(block.header or "")
    for index, row in enumerate(block.lines):
        reading.begin(number, block.position + index)
        arrivals += read_row_arrival(row, head, header, reading)
        number += 1 + row.count(b"\n")
    return arrivals


class Arrived(NamedTuple):
    """The changes of one block, which travel together: a million elements would cost more."""

    memberships: Sequence[MembershipChange]
    attributes: Sequence[AttributeChange]


register(Arrived)


class ParseResult(NamedTuple):
    """Outputs of `Parse`.

    Attributes:
      arrived: PCollection[Arrived], one for each block that held a change.
      dead_letters: PCollection[DeadLetter].
    """

    arrived: PCollection[Arrived]
    dead_letters: PCollection[DeadLetter]


@with_input_types(Block)
@dataclass
class Parse(beam.PTransform):
    """Parses blocks, as many at once as there are; see `parse`.

    Attributes:
      identity: as of `parse`, as is `sources`.
      clock: seconds since the epoch, for the dead letters.
    """

    identity: str
    sources: Sequence[str] = ()
    clock: Callable[[], float] = steady

    def expand(self, blocks: PCollection[Block]) -> ParseResult:
        """PCollection[Block] to `ParseResult`."""
        parsed = blocks | beam.ParDo(
            ParseDoFn(self.identity, tuple(self.sources), self.clock)
        ).with_output_types(Arrived, dead_letters=DeadLetter).with_outputs(
            "dead_letters", main="arrived"
        )
        return ParseResult(parsed.arrived, parsed.dead_letters)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        sources = ", ".join(self.sources)
        return {
            "identity": DisplayDataItem(self.identity, label="Namespace of the OutreachId"),
            "attributes": DisplayDataItem(sources, label="Attributes").drop_if_default(""),
        }


class ParseDoFn(beam.DoFn):
    """Parses one block; see `Parse`."""

    def __init__(self, identity: str, sources: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._identity = identity
        self._sources = sources
        self._clock = clock
        self._in_records = Metrics.counter("parse", "in-records")
        self._out_changes = Metrics.counter("parse", "out-changes")
        self._out_dead_letters = Metrics.counter("parse", "out-dead-letters")

    def process(  # noqa: D102
        self, block: Block
    ) -> Iterator[Arrived | TaggedOutput]:
        parsed = parse(block, self._identity, self._sources, micros(self._clock()))
        self._in_records.inc(parsed.arrivals)
        self._out_changes.inc(len(parsed.memberships) + len(parsed.attributes))
        self._out_dead_letters.inc(len(parsed.dead_letters))
        if parsed.memberships or parsed.attributes:
            yield Arrived(parsed.memberships, parsed.attributes)
        for letter in parsed.dead_letters:
            yield TaggedOutput("dead_letters", letter)
