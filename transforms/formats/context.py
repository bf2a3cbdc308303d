"""A block as it is being read: what is at hand, what was found, what was refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from transforms.conditions import sources
from transforms.elements import AttributeChange, Block, DeadLetter, MembershipChange
from transforms.formats.attribute_paths import ABSENT, Wanted, find, wanted
from transforms.formats.validation import (
    Refused,
    read_key,
    read_outreach_id,
    read_value,
)
from transforms.matching import BY_ID, kind_of, kinds_of, natural_keys
from transforms.plan import Reading, canonical
from transforms.text import shown

MOST_OF_A_RECORD: Final = 16
"""Dead letters one record can cause: each holds all of it, so the first few say enough."""

MOST_OF_AN_ARRIVAL: Final = 1000
"""Dead letters one array can cause; the last of them holds all of it."""

PLACE_BITS: Final = 12
"""Between two arrivals there is room for so many bits of elements, in their own order.

The microsecond at which a message was published then fits into 63 bits until the year 2041.
"""

MEMBER: Final = "realized"
"""The status of whoever stands in a file that is the whole audience."""

_NONE: Final = object()


class RecordContext:
    """One block's reading: the arrival at hand, and all that was found so far.

    Attributes:
      identity: the identityMap namespace whose id is the OutreachId, or what `match` says.
      match: by what records name a prospect.
      kinds: the same, and what stands in for it where it is not there.
      spellings: of each key, how it was spelled first; empty where that is the key itself.
      facts: by place and prospect, the attributes that conditions look at.
      keys: where that is not the OutreachId, each address or id once; see `prospect`.
      paths: where else an OutreachId is looked for; empty for where each format has it.
      segment: of records that do not name their audience; None where they must.
      places: of each dead letter, its element's place in the arrival, from 0.
      status: of records that do not say one; None where they must.
      records: read so far: elements of a list each, and what was in an envelope.
      published: the time of records that name none; None in a file.
      prospect: reads whom a record names: its OutreachId, or minus the place of its key in
        `keys`, from 1; raises `Refused`.
      memberships: those found so far, as are `attributes` and `dead_letters`.
      arrival_id: of the arrival at hand, as is all that follows.
      sequence: its place, or its element's, in the order of publication.
      line: its number in its source.
    """

    __slots__ = (
        "_block",
        "_element",
        "_first",
        "_key_places",
        "_letters",
        "_letters_of_arrival",
        "_mapped",
        "_natural",
        "_recorded_at",
        "_segments",
        "_text",
        "_wanted",
        "_wanted_facts",
        "_whole",
        "arrival_id",
        "attributes",
        "dead_letters",
        "facts",
        "identity",
        "keys",
        "kinds",
        "line",
        "match",
        "memberships",
        "paths",
        "places",
        "prospect",
        "published",
        "records",
        "segment",
        "sequence",
        "spellings",
        "status",
    )

    def __init__(
        self,
        block: Block,
        identity: str,
        attributes: Wanted,
        recorded_at: int,
        rules: Reading | None = None,
    ) -> None:
        self._block = block
        self._wanted = attributes
        self._recorded_at = recorded_at
        self._segments: dict[str, str] = {}
        rules = rules or Reading()
        source = rules.source(block.source)
        self._mapped = rules.segments
        self.match = rules.match
        self.kinds = kinds_of(rules.match)
        self.prospect = read_outreach_id if rules.match == BY_ID else self._key_place
        self._natural = natural_keys(rules.match)
        self.keys: list[str] = []
        self.spellings: list[str] = []
        self._key_places: dict[str, int] = {}
        self._wanted_facts = facts_wanted(rules)
        self.facts: dict[tuple[int, int], dict[str, object]] = {}
        self.identity = (source and source.namespace) or identity
        self.paths = (source and source.paths) or rules.paths
        self.segment = source.segment if source else rules.mirrored
        self.status = None if source or rules.mirrored is None else MEMBER
        self.records = 0
        self.places: list[int] = []
        self.published = block.published
        self.memberships: list[MembershipChange] = []
        self.attributes: list[AttributeChange] = []
        self.dead_letters: list[DeadLetter] = []
        self.arrival_id = ""
        self.begin(block.line, block.position)

    def prospect_by(self, kind: str, value: object) -> int:
        """As of `prospect`, where a record names it by one of `kinds`."""
        return self.prospect(value) if kind == self.match else self._key_place(value, kind)

    def _key_place(self, value: object, kind: str = "") -> int:
        """Returns the stand-in id of a prospect known by a key: minus the key's place, from 1."""
        key, spelling = read_key(kind or self.match, value)
        place = self._key_places.get(key)
        if place is None:
            self.keys.append(key)
            self.spellings.append(spelling)
            place = self._key_places[key] = len(self.keys)
        return -place

    def key_of(self, prospect: int) -> int | str:
        """A prospect's OutreachId, or the key that it is known by."""
        return self.keys[-prospect - 1] if prospect < 0 else prospect

    def name_of(self, prospect: int) -> str:
        """A prospect as its record named it, for people."""
        if prospect > 0:
            return str(prospect)
        key, spelling = self.keys[-prospect - 1], self.spellings[-prospect - 1]
        return shown(kind_of(self._natural, key).text(key, spelling) if self._natural else key)

    def begin(self, line: int, place: int) -> None:
        """Moves on to the next arrival of the block, at its place among all."""
        self.line = line
        self.sequence = self._first = place << PLACE_BITS
        self._letters_of_arrival = 0
        self._whole = False

    def hold(self, text: bytes, arrival_id: str, element: object = _NONE) -> None:
        """Says what is being read now, for its changes' ids and its dead letters.

        Args:
          text: the arrival's bytes.
          arrival_id: stable id for what these bytes say.
          element: the one of an array that is being read, if the arrival is an array.
        """
        self._text = text
        self.arrival_id = arrival_id
        self._element = element
        self._letters = 0

    def step(self, index: int) -> None:
        """Moves on to an element of the arrival: a later one is published later."""
        self.sequence = self._first + index

    def is_mapped(self, segment: str) -> bool:
        """Whether an audience of the destination has this segment."""
        return canonical(segment) in self._mapped

    def share(self, segment: str) -> str:
        """An equal string that all memberships of the block share, to save memory."""
        return self._segments.setdefault(segment, segment)

    def add_attributes(
        self, prospects: Sequence[int], places: Sequence[dict[str, Any]], time: int | None
    ) -> None:
        """Adds a change for each wanted attribute that is in one of the places."""
        if self._wanted_facts:
            found = {
                source: None if (value := find(source, path, places)) is ABSENT else value
                for source, path in self._wanted_facts
            }
            self.facts.update(((self.sequence, prospect), found) for prospect in prospects)
        for source, path in self._wanted:
            value = find(source, path, places)
            if value is ABSENT:
                continue
            try:
                text = read_value(value)
            except Refused as refused:
                self.refuse(refused, f"attribute {source}")
                continue
            for prospect in prospects:
                self.attributes.append(
                    AttributeChange(self.arrival_id, prospect, source, text, time, self.sequence)
                )

    def refuse(self, refused: Refused, where: str = "") -> None:
        """Adds a dead letter for what is at hand; `where` is the place within it."""
        self._letters += 1
        if self._whole or self._letters > MOST_OF_A_RECORD:
            return
        self._letters_of_arrival += 1
        if self._letters_of_arrival == MOST_OF_AN_ARRIVAL:
            self._element = _NONE
            self._whole = True
        block = self._block
        if block.message_id is None:
            source = f"{block.source}:{self.line}"
        else:
            source = f"{block.source} message {block.message_id}"
        self.places.append(self.sequence - self._first)
        self.dead_letters.append(
            DeadLetter(
                stage="parse",
                reason=refused.reason,
                detail=f"{where}: {refused.detail}" if where else refused.detail,
                payload=self._payload(),
                source=source,
                http_status=None,
                recorded_at=self._recorded_at,
            )
        )

    def _payload(self) -> str:
        text = self._text
        if self._element is not _NONE:
            try:
                text = orjson.dumps(self._element)
            except orjson.JSONEncodeError:
                # orjson reads deeper than it writes. The letter holds the whole array
                # instead, which covers whatever else is wrong in it.
                self._whole = True
        try:
            return orjson.dumps(text.decode()).decode()
        except UnicodeDecodeError:
            return orjson.dumps({"base64": b64encode(text).decode()}).decode()


@lru_cache(maxsize=64)
def facts_wanted(rules: Reading) -> Wanted:
    """The attributes that the conditions look at, ready for `find`."""
    named = {source for _, _, condition in rules.conditions for source in sources(condition)}
    return wanted(tuple(sorted(named)))


class Format(Protocol):
    """What a module of this package offers, so that the next format is one more module.

    Attributes:
      SHAPE: the format and the keys that tell it, as a person would write them.
    """

    SHAPE: str

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether this object is of the format; it need not be a good one."""

    def read(self, record: dict[str, Any], reading: RecordContext) -> bytes | None:
        """Adds to the reading what the record holds.

        Returns:
          Another arrival, if this one only wraps it; that is then read in its place.

        Raises:
          Refused: nothing more of the record can be read.
        """
