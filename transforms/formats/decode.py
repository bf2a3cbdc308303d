"""One arrival, from its bytes to its records: JSON of any known shape, or CSV with its header."""

from __future__ import annotations

from hashlib import blake2b
from io import BytesIO
from typing import Any, Final

import orjson

from transforms.formats import flat
from transforms.formats.context import RecordContext
from transforms.formats.csv_rows import (
    IDENTITIES,
    Header,
    join_rows,
    read_header,
    read_row,
    without_separator,
)
from transforms.formats.envelopes import LISTS, unpack
from transforms.formats.registry import FORMATS
from transforms.formats.validation import Refused
from transforms.formats.values import loads, split_values
from transforms.text import listed, shown

DEEPEST: Final = 8
"""Dead letters within dead letters that are still unpacked."""

_BOM: Final = b"\xef\xbb\xbf"
_NO_TEXT: Final = blake2b(digest_size=12)
_READERS: Final = tuple((form.matches, form.read) for form in FORMATS)


def digest(text: bytes) -> str:
    """An id for what arrived: the same bytes have the same one, now and later."""
    state = _NO_TEXT.copy()  # a third faster than setting up another
    state.update(text)
    return state.hexdigest()


def read_arrival(
    arrival: bytes, reading: RecordContext, arrival_id: str | None = None, depth: int = 0
) -> None:
    """Adds to the reading all that a line or message holds.

    Args:
      arrival: any bytes.
      reading: at this arrival.
      arrival_id: None for the `digest` of the bytes without the blanks around them.
      depth: how many dead letters this was unpacked from.
    """
    text = arrival.strip()
    if text.startswith(_BOM):
        text = text[3:].lstrip()
    if arrival_id is None:
        arrival_id = digest(text)
    reading.hold(arrival, arrival_id)
    try:
        value = loads(text)
    except orjson.JSONDecodeError as error:
        if not _read_table(arrival, reading) and not _read_values(text, arrival_id, reading, depth):
            reading.refuse(_not_json(text, error))
        return
    elements = value
    if type(value) is dict:
        reading.records += 1
        if _read_record(value, reading, depth):
            return
        elements = next((value[key] for key in LISTS if type(value.get(key)) is list), None)
        reading.records -= elements is not None
    if type(elements) is not list:
        reading.refuse(_unknown(value))
        return
    for index, element in enumerate(elements):
        reading.step(index)
        reading.hold(arrival, f"{arrival_id}-{index}", element)
        reading.records += 1
        if type(element) is not dict or not _read_record(element, reading, depth):
            reading.refuse(_unknown(element))


def read_row_arrival(
    row: bytes, head: bytes, header: Header | None, reading: RecordContext
) -> bool:
    """Adds to the reading what one CSV row holds.

    Args:
      row: without its line end.
      head: the header line, which goes into dead letters and the id: the row needs it.
      header: what that line says; None if it says nothing.
      reading: at this row.

    Returns:
      False if the row is blank: no arrival at all.
    """
    arrival = head + b"\n" + row
    reading.hold(arrival, digest(arrival))
    reading.records += bool(row.strip())
    try:
        record = read_row(row, header)
        if record is not None:
            flat.read(record, reading)
    except Refused as refused:
        reading.refuse(refused)
        return True
    return record is not None


def _read_record(record: dict[str, Any], reading: RecordContext, depth: int) -> bool:
    """Adds what the record holds; returns False if its shape is unknown."""
    if _read_envelope(record, reading, depth):
        return True
    for matches, read in _READERS:
        if matches(record):
            try:
                inner = read(record, reading)
            except Refused as refused:
                reading.refuse(refused)
                return True
            if inner is not None and depth < DEEPEST:
                read_arrival(inner, reading, depth=depth + 1)
            elif inner is not None:
                reading.refuse(Refused("unknown_shape", f"over {DEEPEST} letters in one another"))
            return True
    return False


def _read_envelope(record: dict[str, Any], reading: RecordContext, depth: int) -> bool:
    """Adds what is in an envelope; returns False if the record is none."""
    try:
        inner = unpack(record)
    except Refused as refused:
        reading.refuse(refused)
        return True
    if inner is None:
        return False
    if depth >= DEEPEST:
        reading.refuse(Refused("unknown_shape", f"over {DEEPEST} envelopes in one another"))
        return True
    published, reading.records = reading.published, reading.records - 1
    reading.published = published if inner.published is None else inner.published
    name = None if inner.message_id is None else digest(inner.message_id.encode())
    read_arrival(inner.arrival, reading, name, depth + 1)
    reading.published = published
    return True


def _read_values(text: bytes, arrival_id: str, reading: RecordContext, depth: int) -> bool:
    """Adds what several values after one another hold; returns False if they are not several."""
    index = -1
    for index, each in enumerate(split_values(text)):
        reading.step(index)
        if depth < DEEPEST:
            read_arrival(each, reading, f"{arrival_id}-{index}", depth + 1)
    return index >= 0


def _read_table(arrival: bytes, reading: RecordContext) -> bool:
    """Adds the rows of a CSV text; returns False if it is none."""
    head, _, rows = without_separator(arrival.lstrip().removeprefix(_BOM)).partition(b"\n")
    folded = head.lower()
    if not rows or not any(name.encode() in folded for name in IDENTITIES):
        return False
    head = head.rstrip(b"\r")
    header = read_header(head.decode(errors="replace"))
    if header is None:
        return False
    for index, row in enumerate(join_rows(BytesIO(rows), header)):
        reading.step(index)
        read_row_arrival(row.rstrip(b"\r\n"), head, header, reading)
    return True


def _not_json(text: bytes, error: orjson.JSONDecodeError) -> Refused:
    try:
        around = text.decode()[max(0, error.pos - 10) : error.pos + 20]
    except UnicodeDecodeError as undecodable:
        return Refused("not_json", f"no UTF-8 at byte {undecodable.start + 1}; send UTF-8")
    return Refused(
        "not_json",
        f"{error.msg} at character {error.pos + 1}, near {shown(around)}; "
        "each line or message must be one JSON value",
    )


def _unknown(value: object) -> Refused:
    found = f"the keys {listed(value)} tell" if type(value) is dict else f"{shown(value)} has"
    shapes = ", ".join(form.SHAPE for form in FORMATS)
    return Refused(
        "unknown_shape",
        f'{found} no known shape; known are {shapes}, a list of these, and {{"profiles": [...]}}',
    )
