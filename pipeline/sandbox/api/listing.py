"""Which records a list request is for: its filters, its page and its fields."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from pipeline.sandbox.api.records import RELATIONSHIPS, Collection, Record
from pipeline.sandbox.fields import FIELDS, FILTERABLE, TIMES, ResourceKind
from pipeline.sandbox.responses import ApiResponse, bad_request, document

_DEFAULT_SIZE = 50
_MAX_SIZE = 1_000

Holds = Callable[[Record], bool]


class QueryError(ValueError):
    """The query names something that does not exist, or gives it an impossible value."""


class Listing(NamedTuple):
    """What a list request asks for.

    Attributes:
      ids: those asked for, in order; None for all.
      holds: what else a record must satisfy.
      names: attributes to answer; None for all.
      size: records on a page.
      after: the last id of the page before; 0 for the first page.
      counted: whether to say how many there are in all.
    """

    ids: list[int] | None
    holds: list[Holds]
    names: list[str] | None
    size: int
    after: int
    counted: bool


def read_query(query: str, kind: ResourceKind) -> Listing:
    """Reads a list request's query string.

    ``filter[id]=1,2,3`` and ``filter[id]=1..3`` are the old syntax, ``filter[id][]=1``
    the new one that ``newFilterSyntax=true`` turns on. A time's filter is a range of which
    both ends belong to it, ``neginf`` and ``inf`` among them. Pages are in the order of ids, so
    that a record which changes meanwhile neither moves nor is passed over.

    Raises:
      QueryError: nothing like that exists; the text says what.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    new_syntax = ("newFilterSyntax", "true") in pairs
    wanted: dict[str, list[str]] = {}
    names: list[str] | None = None
    size, after, counted = _DEFAULT_SIZE, 0, True
    for key, value in pairs:
        if key == f"fields[{kind}]":
            names = _names(value, kind)
        elif key == "page[size]":
            size = _size(value)
        elif key == "page[after]":
            after = _after(value)
        elif key == "count":
            counted = value != "false"
        elif key.startswith("filter["):
            name, values = _filter(key, value, kind, new_syntax=new_syntax)
            wanted.setdefault(name, []).extend(values)
        elif key != "newFilterSyntax":
            raise QueryError(f"Unknown parameter '{key}'.")
    ids = _ids(wanted.pop("id")) if "id" in wanted else None
    holds = [
        _within(name, values) if name in TIMES else _holding(name, frozenset(values))
        for name, values in wanted.items()
    ]
    return Listing(ids, holds, names, size, after, counted)


def answer_list(query: str, records: Collection, base_url: str) -> ApiResponse:
    """Answers a list request."""
    try:
        listing = read_query(query, records.kind)
    except QueryError as problem:
        return bad_request(str(problem))
    ids = list(islice(_matching(listing, records, listing.after), listing.size + 1))
    page = ids[: listing.size]
    url = f"{base_url}/api/v2/{records.kind}s"
    content: dict[str, object] = {
        "data": [records.resource(each, base_url, listing.names) for each in page]
    }
    if listing.counted:
        content["meta"] = {"count": sum(1 for _ in _matching(listing, records, 0))}
    links = {"first": _link(url, query, None)}
    if len(ids) > listing.size:
        links["next"] = _link(url, query, page[-1])
    return document(200, content | {"links": links})


def _matching(listing: Listing, records: Collection, after: int) -> Iterable[int]:
    candidates: Iterable[int] = (
        records.after(after)
        if listing.ids is None
        else (each for each in listing.ids if each > after and each in records)
    )
    if not listing.holds:
        return candidates
    return (
        each
        for each in candidates
        if (record := records.get(each)) and all(holds(record) for holds in listing.holds)
    )


def _filter(key: str, value: str, kind: ResourceKind, *, new_syntax: bool) -> tuple[str, list[str]]:
    name = key[len("filter[") :]
    listed = name.endswith("][]")
    name = name.removesuffix("][]").removesuffix("]")
    if name != "id" and name not in TIMES and name not in FILTERABLE[kind]:
        raise QueryError(f"Cannot filter {kind}s on '{name}'.")
    if listed and not new_syntax:
        raise QueryError(f"'{key}' needs newFilterSyntax=true.")
    return name, [value] if new_syntax else value.split(",")


def _ids(values: list[str]) -> list[int]:
    ids: set[int] = set()
    for value in values:
        first, dots, last = value.partition("..")
        if not (first.isdecimal() and (not dots or last.isdecimal())):
            raise QueryError(f"'{value}' is not an id.")
        ids.update(range(int(first), int(last) + 1) if dots else [int(first)])
    return sorted(ids)


def _within(name: str, values: list[str]) -> Holds:
    """Whether a time, to the second as it is answered, lies in a range."""
    first, dots, last = values[0].partition("..")
    if len(values) > 1 or not dots:
        raise QueryError(f"filter[{name}] must be a range of two instants, such as A..B or A..inf.")
    earliest = float("-inf") if first == "neginf" else _instant(first)
    latest = float("inf") if last == "inf" else _instant(last)

    def holds(record: Record) -> bool:
        at = record.updated_at if name == "updatedAt" else record.created_at
        return earliest <= int(at) <= latest

    return holds


def _instant(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(f"'{text}' is not an instant.") from None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _holding(name: str, values: frozenset[str]) -> Holds:
    if name == "emails":  # Addresses differ in no more than their capitals.
        values = frozenset(value.casefold() for value in values)

        def has_address(record: Record) -> bool:
            held = record.attributes.get(name)
            return isinstance(held, list) and any(str(each).casefold() in values for each in held)

        return has_address

    def holds(record: Record) -> bool:
        held = record.attributes.get(name)
        if isinstance(held, list):
            return any(str(each) in values for each in held)
        return held is not None and str(held) in values

    return holds


def _names(value: str, kind: ResourceKind) -> list[str]:
    names = [name for name in value.split(",") if name]
    for name in names:
        if name not in FIELDS[kind] and name not in RELATIONSHIPS[kind]:
            raise QueryError(f"'{name}' is not an attribute of {kind}.")
    return names


def _size(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= _MAX_SIZE:
        raise QueryError(f"page[size] must be between 1 and {_MAX_SIZE}.")
    return int(value)


def _after(value: str) -> int:
    try:
        return int(urlsafe_b64decode(value))
    except ValueError:
        raise QueryError("page[after] is not a cursor.") from None


def _link(url: str, query: str, after: int | None) -> str:
    pairs = [pair for pair in parse_qsl(query) if pair[0] != "page[after]"]
    if after is not None:
        pairs.append(("page[after]", urlsafe_b64encode(str(after).encode()).decode()))
    return f"{url}?{urlencode(pairs)}" if pairs else url
