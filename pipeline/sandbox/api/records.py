"""Prospects and accounts: what the sandbox holds, in memory.

Only what is set is kept; an answer fills the some two hundred others with null. Times
are epoch seconds.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from pipeline.sandbox.fields import FIELDS, ResourceKind

_RECENT = 200
"""Changes by which the page orders the latest first."""
_HISTORY = 20
"""Changes that are remembered of each record."""
_RECYCLED = 1_000
"""Deleted records that can be brought back."""

RELATIONSHIPS: Mapping[ResourceKind, Mapping[str, object]] = {
    "prospect": {"account": {"data": None}, "owner": {"data": None}, "stage": {"data": None}},
    "account": {"owner": {"data": None}},
}

LINKED: Final = "account"
"""What a prospect is tied to; its id stands among the attributes that are kept."""

_UNIQUE: Mapping[ResourceKind, str] = {"prospect": "emails", "account": "domain"}
"""The attribute of each kind that no two records may have in common, whatever its capitals."""


@dataclass(slots=True)
class Record:
    """One prospect or account: the attributes that are not null, and its times."""

    attributes: dict[str, object] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float = 0.0


class Alteration(NamedTuple):
    """One field of one record that took another value."""

    at: float
    id: int
    field: str
    before: object
    after: object


Keep = Callable[[ResourceKind, int, Mapping[str, object] | None, float], None]
"""Is told of each alteration: which record, its attributes' new values (None where the
record is gone), and when.
"""


def _forget(*_: object) -> None:
    """Keeps nothing."""


class Collection:
    """All records of one kind.

    Attributes:
      kind: ``prospect`` or ``account``.
      keep: is called with what changes, so that it can outlive the process.
      recent: the latest alterations, newest last.
      history: by record, its latest alterations, newest last.
      tallies: custom field to how many records hold each value of it.
    """

    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind
        self.keep: Keep = _forget
        self.recent: deque[Alteration] = deque(maxlen=_RECENT)
        self.history: dict[int, deque[Alteration]] = {}
        self.tallies: dict[str, Counter[str]] = {}
        self._records: dict[int, Record] = {}
        self._ids: list[int] = []
        self._owners: dict[str, int] = {}
        self._recycled: dict[int, Mapping[str, object]] = {}
        self._empty: dict[str, object] = dict.fromkeys(FIELDS[kind])

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, record_id: int) -> bool:
        return record_id in self._records

    def get(self, record_id: int) -> Record | None:
        """The record of this id, if there is one."""
        return self._records.get(record_id)

    def add(self, record_id: int, attributes: Mapping[str, object], now: float) -> None:
        """Puts a record in place, or more attributes into one that is there."""
        if record_id not in self._records:
            self._records[record_id] = Record({}, now, now)
            if self._ids and record_id < self._ids[-1]:
                insort(self._ids, record_id)
            else:
                self._ids.append(record_id)
            self.keep(self.kind, record_id, {}, now)
        if attributes:
            self.update(record_id, attributes, now)

    def create(self, attributes: Mapping[str, object], now: float) -> int:
        """Adds a record under the next free id and returns that."""
        record_id = self._ids[-1] + 1 if self._ids else 1
        self.add(record_id, attributes, now)
        return record_id

    def update(
        self, record_id: int, attributes: Mapping[str, object], now: float
    ) -> dict[str, object]:
        """Sets attributes, of which null clears; returns those that took another value."""
        record = self._records[record_id]
        held = record.attributes
        altered: dict[str, object] = {}
        for name, value in attributes.items():
            before = held.get(name)
            if before == value and type(before) is type(value):
                continue
            altered[name] = value
            self._index(record_id, name, before, value)
            alteration = Alteration(now, record_id, name, before, value)
            self.recent.append(alteration)
            self.history.setdefault(record_id, deque(maxlen=_HISTORY)).append(alteration)
            if value is None:
                del held[name]
            else:
                held[name] = value
        record.updated_at = now
        if altered:
            self.keep(self.kind, record_id, altered, now)
        return altered

    def remove(self, record_id: int, now: float) -> None:
        """Deletes a record."""
        record = self._records.pop(record_id)
        self._recycled[record_id] = record.attributes
        if len(self._recycled) > _RECYCLED:
            del self._recycled[next(iter(self._recycled))]
        self.history.pop(record_id, None)
        for name, value in record.attributes.items():
            self._index(record_id, name, value, None)
        del self._ids[bisect_right(self._ids, record_id) - 1]
        self.keep(self.kind, record_id, None, now)

    def recycle(self, record_id: int, now: float) -> bool:
        """Brings a deleted record back, as a person does from the bin; False if none is there."""
        held = self._recycled.pop(record_id, None)
        if held is None or record_id in self._records:
            return False
        self.add(record_id, held, now)
        return True

    def merge(self, record_id: int, into: int, now: float) -> None:
        """Makes two records one: the second is left, with the first's addresses beside its own.

        An attribute that it has not yet becomes the first's; the first is gone.
        """
        gone, stays = self._records[record_id].attributes, self._records[into].attributes
        self.remove(record_id, now)
        taken = {name: value for name, value in gone.items() if name not in stays}
        addresses = [stays.get("emails"), gone.get("emails")]
        both = [each for held in addresses if isinstance(held, list) for each in held]
        if both:
            taken["emails"] = list(dict.fromkeys(both))
        self.update(into, taken, now)

    def taken(self, attributes: Mapping[str, object], record_id: int | None) -> bool:
        """Whether another record has an e-mail address or a domain that these attributes hold.

        Args:
          attributes: of a record that is to be written.
          record_id: the record; None for a new one.
        """
        values = _texts(attributes.get(_UNIQUE[self.kind]))
        return any(self._owners.get(each) not in {None, record_id} for each in values)

    def unlink(self, linked: int, now: float) -> None:
        """Has no record be tied any more to an account that is gone."""
        tied = [each for each, held in self.items() if held.attributes.get(LINKED) == linked]
        for record_id in tied:
            self.update(record_id, {LINKED: None}, now)

    def after(self, record_id: int) -> Iterator[int]:
        """Ids greater than this one, in order."""
        return islice(self._ids, bisect_right(self._ids, record_id), None)

    def items(self) -> Iterable[tuple[int, Record]]:
        """Every record with its id, in order of ids."""
        return ((record_id, self._records[record_id]) for record_id in self._ids)

    def resource(
        self, record_id: int, base_url: str, names: Iterable[str] | None = None
    ) -> dict[str, object]:
        """The JSON:API resource of a record: every attribute, or only those named."""
        record = self._records[record_id]
        attributes = {
            **self._empty,
            **record.attributes,
            "createdAt": instant(int(record.created_at)),
            "updatedAt": instant(int(record.updated_at)),
        }
        if self.kind == "prospect":
            attributes["name"] = full_name(record.attributes)
        relationships = dict(RELATIONSHIPS[self.kind])
        linked = attributes.pop(LINKED, None)
        if linked is not None:
            relationships[LINKED] = {"data": {"type": LINKED, "id": linked}}
        if names is not None:  # JSON:API 1.0, "Sparse Fieldsets": of relationships as well.
            asked = set(names)
            attributes = {name: attributes[name] for name in attributes if name in asked}
            relationships = {name: relationships[name] for name in relationships if name in asked}
        return {
            "type": self.kind,
            "id": record_id,
            "attributes": attributes,
            "relationships": relationships,
            "links": {"self": f"{base_url}/api/v2/{self.kind}s/{record_id}"},
        }

    def _index(self, record_id: int, name: str, before: object, after: object) -> None:
        if name.startswith("custom"):
            tally = self.tallies.setdefault(name, Counter())
            if before is not None:
                tally[str(before)] -= 1
                if not tally[str(before)]:
                    del tally[str(before)]
            if after is not None:
                tally[str(after)] += 1
        elif name == _UNIQUE[self.kind]:
            for text in _texts(before):
                self._owners.pop(text, None)
            for text in _texts(after):
                self._owners[text] = record_id


def _texts(value: object) -> list[str]:
    """One text or several, without capitals."""
    return [
        str(each).casefold() for each in (value if isinstance(value, list) else [value]) if each
    ]


def full_name(attributes: Mapping[str, object]) -> str | None:
    """The read-only ``name`` that Outreach makes of the first and last."""
    parts = [attributes.get("firstName"), attributes.get("lastName")]
    return " ".join(str(part) for part in parts if part) or None


@lru_cache(maxsize=64)
def instant(seconds: int) -> str:
    """An instant as Outreach writes it: to the second, with three zeros behind."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
