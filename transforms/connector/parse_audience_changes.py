"""Take: from the elements of a Beam user's collection to changes, not yet mapped.

`take` does it for one element, `ParseAudienceChanges` for a collection. What cannot be read
becomes a dead letter, as in `transforms.stages.parse`, whose rules these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import apache_beam as beam
import orjson
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.error_handling import ErrorHandler
from apache_beam.typehints import with_input_types
from apache_beam.utils.timestamp import Timestamp

from transforms.clock import micros, steady
from transforms.connector.element_json import UnwritableError, arrival_of, refuse_type
from transforms.elements import AttributeChange, Block, DeadLetter, MembershipChange
from transforms.formats.decode import digest
from transforms.plan import CLOCK_SKEW
from transforms.stages.parse import Arrived, Parse, Parsed, parse

IDENTITY: Final = "Oid"
"""The identityMap namespace of the OutreachId, where none other is named."""

_PUBLISHED_BELOW: Final = 1 << 51
"""Microseconds, up to the year 2041: as `transforms.formats.context` has room for."""


def take(
    element: object,
    identity: str,
    sources: Sequence[str],
    published: int | None,
    recorded_at: int,
    skew: int | None = None,
) -> Parsed:
    """Reads one element; raises nothing, whatever it holds.

    Args:
      element: see `transforms.connector.element_json`.
      identity: as of `transforms.stages.parse.parse`.
      sources: as of `transforms.stages.parse.parse`.
      published: when it was published, in microseconds since the epoch; None if nobody knows.
      recorded_at: for the dead letters, in microseconds since the epoch.
      skew: as of `transforms.stages.parse.parse`.
    """
    if isinstance(element, MembershipChange):
        return Parsed([element], [], [], 1)
    if isinstance(element, AttributeChange):
        return Parsed([], [element], [], 1)
    try:
        arrival = arrival_of(element)
    except UnwritableError as problem:
        letter = _unwritable(element, problem, recorded_at)
        return Parsed([], [], [letter], 1)
    block = Block("", published or 0, [arrival], published=published)
    parsed = parse(block, identity, sources, recorded_at, skew)
    if not parsed.dead_letters:
        return parsed
    source = f"element {digest(arrival.strip())}"
    letters = [letter._replace(source=source) for letter in parsed.dead_letters]
    return parsed._replace(dead_letters=letters)


def _unwritable(element: object, problem: UnwritableError, recorded_at: int) -> DeadLetter:
    shown = repr(element)
    return DeadLetter(
        stage="parse",
        reason="unknown_shape",
        detail=f"no JSON can be made of it: {problem}",
        payload=orjson.dumps(shown.encode(errors="backslashreplace").decode()).decode(),
        source=f"element {digest(shown.encode(errors='backslashreplace'))}",
        http_status=None,
        recorded_at=recorded_at,
    )


def published_at(timestamp: Timestamp) -> int | None:
    """When an element was published, by its timestamp; None where that says nothing."""
    return timestamp.micros if 0 < timestamp.micros < _PUBLISHED_BELOW else None


@with_input_types(Any)
class TakeDoFn(beam.DoFn):
    """Reads one element into what arrived with it; see `take`."""

    def __init__(
        self, identity: str, sources: Sequence[str], clock: Callable[[], float] = steady
    ) -> None:
        self._identity = identity
        self._sources = tuple(sources)
        self._clock = clock
        self._in_records = Metrics.counter("parse", "in-records")
        self._out_changes = Metrics.counter("parse", "out-changes")
        self._out_dead_letters = Metrics.counter("parse", "out-dead-letters")
        self._out_skewed = Metrics.counter("parse", "out-skewed")

    def process(  # noqa: D102
        self,
        element: object,
        timestamp: Timestamp = beam.DoFn.TimestampParam,
    ) -> Iterator[Any]:
        parsed = take(
            element,
            self._identity,
            self._sources,
            published_at(timestamp),
            micros(self._clock()),
            CLOCK_SKEW,
        )
        self._in_records.inc(parsed.arrivals)
        self._out_changes.inc(len(parsed.memberships) + len(parsed.attributes))
        self._out_dead_letters.inc(len(parsed.dead_letters))
        self._out_skewed.inc(parsed.skewed)
        if parsed.memberships or parsed.attributes:
            yield Arrived(parsed.memberships, parsed.attributes)
        for letter in parsed.dead_letters:
            yield TaggedOutput("dead_letters", letter)


class ApartDoFn(beam.DoFn):
    """Takes what arrived together apart."""

    def process(self, arrived: Arrived) -> Iterator[Any]:  # noqa: D102
        yield from arrived.memberships
        for attribute in arrived.attributes:
            yield TaggedOutput("attributes", attribute)


class ParseAudienceChangesResult(NamedTuple):
    """Outputs of `ParseAudienceChanges`.

    Attributes:
      memberships: PCollection[MembershipChange], of every segment, mapped or not.
      attributes: PCollection[AttributeChange], of those asked for.
      dead_letters: PCollection[DeadLetter], of what cannot be read.
    """

    memberships: PCollection[MembershipChange]
    attributes: PCollection[AttributeChange]
    dead_letters: PCollection[DeadLetter]


@dataclass
class ParseAudienceChanges(beam.PTransform):
    """Reads audience changes: flat records, Experience Platform profiles, or dead letters.

    Element by element, and so in parallel without limit and without delay; bounded and
    unbounded input alike. What cannot be read costs only itself and becomes a dead letter.
    An element's timestamp counts as the time it was published at; a record that names no time
    has that one. Windows and timestamps stay as they are.

    Input: PCollection of ``bytes`` or ``str`` (JSON, a record or a list of them), or of
    dictionaries or rows of a flat record, in any mixture.

    Attributes:
      attributes: paths of the profile attributes to look for, such as ``person.name.firstName``.
      identity: the identityMap namespace whose id is the OutreachId.
      error_handler: takes the dead letters, too.
    """

    attributes: Sequence[str] = ()
    identity: str = IDENTITY
    error_handler: ErrorHandler | None = None

    def __post_init__(self) -> None:
        if isinstance(self.attributes, str):
            raise TypeError(f"attributes is a list of paths, such as [{self.attributes!r}]")
        if not self.identity:
            raise ValueError("identity is empty; name the namespace whose id is the OutreachId")

    def with_error_handler(self, error_handler: ErrorHandler | None) -> ParseAudienceChanges:
        """The same, with dead letters going to a handler, too; None for none."""
        return replace(self, error_handler=error_handler)

    def expand(self, elements: PCollection) -> ParseAudienceChangesResult:
        """See `ParseAudienceChanges`."""
        refuse_type("ParseAudienceChanges", elements.element_type)
        taken = elements | "Take" >> beam.ParDo(
            TakeDoFn(self.identity, self.attributes)
        ).with_output_types(Arrived, dead_letters=DeadLetter).with_outputs(
            "dead_letters", main="arrived"
        )
        apart = taken.arrived | "Apart" >> beam.ParDo(ApartDoFn()).with_output_types(
            MembershipChange, attributes=AttributeChange
        ).with_outputs("attributes", main="memberships")
        if self.error_handler is not None:
            self.error_handler.add_error_pcollection(taken.dead_letters)
        return ParseAudienceChangesResult(apart.memberships, apart.attributes, taken.dead_letters)

    def display_data(self) -> dict[str, Any]:
        """What runners show of it."""
        return Parse(self.identity, self.attributes).display_data()
