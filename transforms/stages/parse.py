"""Parse: from arrivals, as bytes, to changes of memberships and attributes.

`parse` does it for a block, `Parse` for a collection of them. What cannot be read becomes a
dead letter and costs no more than the part that is wrong (the formats: `transforms.formats`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.display import DisplayDataItem
from apache_beam.typehints import with_input_types

from transforms.clock import micros, steady
from transforms.coders import register
from transforms.elements import AttributeChange, Block, DeadLetter, Exclusion, MembershipChange
from transforms.formats.attribute_paths import wanted
from transforms.formats.context import RecordContext
from transforms.formats.csv_rows import read_header
from transforms.formats.decode import digest, read_arrival, read_row_arrival
from transforms.plan import CLOCK_SKEW, Plan, Reading
from transforms.stages.exclusions import exclude

_log = logging.getLogger(__name__)
_Timed = TypeVar("_Timed", MembershipChange, AttributeChange)


class Parsed(NamedTuple):
    """All that one block held, each list in the order of arrival.

    Attributes:
      memberships: every one, mapped or not.
      attributes: those that were asked for.
      dead_letters: of stage ``parse``.
      arrivals: lines, rows or messages read; blank ones are not counted.
      skewed: changes whose time lay in the future, and counts as that of their arrival.
      records: in these arrivals: elements of a list count each.
      places: of each dead letter, its element's place in its arrival, from 0.
      keys: of the prospects that are known by one; see `RecordContext.prospect`.
      exclusions: what the destination's conditions kept out.
      spellings: of each key, how it was spelled; empty where no spelling differs from its key.
    """

    memberships: Sequence[MembershipChange]
    attributes: Sequence[AttributeChange]
    dead_letters: list[DeadLetter]
    arrivals: int
    skewed: int = 0
    records: int = 0
    places: Sequence[int] = ()
    keys: Sequence[str] = ()
    exclusions: Sequence[Exclusion] = ()
    spellings: Sequence[str] = ()


def parse(
    block: Block,
    identity: str,
    sources: Sequence[str],
    recorded_at: int,
    skew: int | None = None,
    rules: Reading | None = None,
) -> Parsed:
    """Reads each arrival of a block; raises nothing, whatever its bytes are.

    Args:
      block: of JSON values or, if it has a header, of CSV rows.
      identity: the identityMap namespace whose id is the OutreachId.
      sources: paths of the attributes to look for, such as ``person.name.firstName``.
      recorded_at: for the dead letters, and when a file's lines arrived; in microseconds since
        the epoch.
      skew: microseconds by which a source's clock may be ahead. A later time would beat every
        later change for ever; it counts as the time of publication or, in a file, of reading.
        None looks at no time.
      rules: how records are read, besides their shape.
    """
    reading = RecordContext(block, identity, wanted(tuple(sources)), recorded_at, rules)
    arrivals = _read_lines(block, reading) if block.header is None else _read_rows(block, reading)
    memberships: Sequence[MembershipChange] = reading.memberships
    attributes: Sequence[AttributeChange] = reading.attributes
    early = 0
    exclusions: list[Exclusion] = []
    if rules is not None and (rules.conditions or rules.kept_if_empty):
        memberships, attributes, exclusions = exclude(reading, rules)
    if skew is not None:
        arrival = recorded_at if block.published is None else block.published
        latest = max(arrival, recorded_at) + skew
        memberships, some = _not_later(memberships, latest, arrival)
        attributes, more = _not_later(attributes, latest, arrival)
        early = some + more
    letters, places = reading.dead_letters, reading.places
    return Parsed(
        memberships,
        attributes,
        letters,
        arrivals,
        early,
        reading.records,
        places,
        reading.keys,
        exclusions,
        reading.spellings if any(reading.spellings) else (),
    )


def _not_later(
    changes: Sequence[_Timed], latest: int, arrival: int
) -> tuple[Sequence[_Timed], int]:
    """The changes, with the time of arrival where theirs is later than any may be; how many."""
    early = sum(each.event_time is not None and each.event_time > latest for each in changes)
    if not early:
        return changes, 0
    return [
        each._replace(event_time=arrival)
        if each.event_time is not None and each.event_time > latest
        else each
        for each in changes
    ], early


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
    """The changes of one block, which travel together: a million elements would cost more.

    Attributes:
      memberships: of prospects by id, or by minus the place of their key, from 1.
      attributes: the same.
      keys: addresses, external ids or others, each once.
      spellings: as of `Parsed`.
    """

    memberships: Sequence[MembershipChange]
    attributes: Sequence[AttributeChange]
    keys: Sequence[str] = ()
    spellings: Sequence[str] = ()


register(Arrived)


class ParseResult(NamedTuple):
    """Outputs of `Parse`.

    Attributes:
      arrived: PCollection[Arrived], one for each block that held a change.
      dead_letters: PCollection[DeadLetter].
      exclusions: PCollection[Exclusion], of what conditions kept out.
    """

    arrived: PCollection[Arrived]
    dead_letters: PCollection[DeadLetter]
    exclusions: PCollection[Exclusion]


@with_input_types(Block)
@dataclass
class Parse(beam.PTransform):
    """Parses blocks, as many at once as there are; see `parse`.

    Attributes:
      identity: as of `parse`, as is `sources`.
      clock: seconds since the epoch, for the dead letters.
      skew: as of `parse`, as are `rules`.
    """

    identity: str
    sources: Sequence[str] = ()
    clock: Callable[[], float] = steady
    skew: int = CLOCK_SKEW
    rules: Reading = field(default_factory=Reading)

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """As a plan says."""
        return cls(plan.identity, plan.sources, skew=plan.clock_skew, rules=plan.reading)

    def expand(self, blocks: PCollection[Block]) -> ParseResult:
        """PCollection[Block] to `ParseResult`."""
        parsed = blocks | beam.ParDo(
            ParseDoFn(self.identity, tuple(self.sources), self.clock, self.skew, self.rules)
        ).with_output_types(Arrived, dead_letters=DeadLetter, exclusions=Exclusion).with_outputs(
            "dead_letters", "exclusions", main="arrived"
        )
        return ParseResult(parsed.arrived, parsed.dead_letters, parsed.exclusions)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        sources = ", ".join(self.sources)
        return {
            "identity": DisplayDataItem(self.identity, label="Namespace of the OutreachId"),
            "attributes": DisplayDataItem(sources, label="Attributes").drop_if_default(""),
        }


class ParseDoFn(beam.DoFn):
    """Parses one block; see `Parse`."""

    def __init__(
        self,
        identity: str,
        sources: tuple[str, ...],
        clock: Callable[[], float],
        skew: int,
        rules: Reading,
    ) -> None:
        self._rules = rules
        self._skew = skew
        self._has_told = False
        self._identity = identity
        self._sources = sources
        self._clock = clock
        self._in_records = Metrics.counter("parse", "in-records")
        self._out_changes = Metrics.counter("parse", "out-changes")
        self._out_dead_letters = Metrics.counter("parse", "out-dead-letters")
        self._out_skewed = Metrics.counter("parse", "out-skewed")
        self._out_excluded = Metrics.counter("parse", "out-excluded")

    def process(  # noqa: D102
        self, block: Block
    ) -> Iterator[Arrived | TaggedOutput]:
        now = micros(self._clock())
        parsed = parse(block, self._identity, self._sources, now, self._skew, self._rules)
        self._in_records.inc(parsed.arrivals)
        self._out_changes.inc(len(parsed.memberships) + len(parsed.attributes))
        self._out_dead_letters.inc(len(parsed.dead_letters))
        self._out_skewed.inc(parsed.skewed)
        self._out_excluded.inc(len(parsed.exclusions))
        if parsed.skewed and not self._has_told:
            self._has_told = True
            _log.warning(
                "a time lies more than %g minutes in the future, from %s:%d on; it counts"
                " as the time of arrival, as do others like it (delivery.clock_skew_minutes)",
                self._skew / 60e6,
                block.source,
                block.line,
            )
        if parsed.memberships or parsed.attributes:
            yield Arrived(parsed.memberships, parsed.attributes, parsed.keys, parsed.spellings)
        for letter in parsed.dead_letters:
            yield TaggedOutput("dead_letters", letter)
        for exclusion in parsed.exclusions:
            yield TaggedOutput("exclusions", exclusion)
