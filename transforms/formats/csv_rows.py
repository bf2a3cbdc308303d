"""CSV with a header, or the same delimited by semicolons or tabs: each row a flat record.

The columns ``outreach_id, segment, status, event_time, namespace`` are told by their names in
any order; any other column is an attribute, named by its header without ``attributes.``. An
empty cell means that there is nothing: a row cannot clear an attribute.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from transforms.formats.validation import Refused

COLUMNS: Final = ("outreach_id", "segment", "status", "event_time", "namespace")
_MOST_LINES: Final = 100
_LONGEST_HEADER: Final = 1 << 16
_WHOLE, _OPEN, _BAD = "whole", "open", "bad"


class Header(NamedTuple):
    """What a header line says about the rows below it.

    Attributes:
      delimiter: one character.
      columns: the name of each, and whether it is an attribute.
    """

    delimiter: str
    columns: tuple[tuple[str, bool], ...]


@lru_cache(maxsize=64)
def read_header(line: str) -> Header | None:
    """What a line says as a header; None if it is none, for want of ``outreach_id``."""
    line = line.strip("\ufeff\r\n")
    if len(line) > _LONGEST_HEADER or "outreach_id" not in line.casefold():
        return None
    if "\r" in line:
        return None  # lines that end so would all be taken for one header
    for delimiter in ",;\t":
        try:
            cells = _cells(line, delimiter)
        except csv.Error:
            continue
        columns = tuple(_column(cell.strip()) for cell in cells)
        if ("outreach_id", False) in columns:
            return Header(delimiter, columns)
    return None


def read_row(row: bytes, header: Header | None) -> dict[str, Any] | None:
    """A row, without its line end, as a flat record; None if no cell of it is filled.

    Raises:
      Refused: ``not_csv``: its header, its encoding, its quotes or the number of its cells
        is wrong.
    """
    if header is None:
        raise Refused("not_csv", "the header names no column outreach_id")
    try:
        cells = _cells(row.decode(), header.delimiter)
    except UnicodeDecodeError as error:
        raise Refused(
            "not_csv", f"no UTF-8 at byte {error.start + 1} of the row; save the file as UTF-8"
        ) from None
    except csv.Error as error:
        raise Refused("not_csv", f"the row's quotes or line ends are wrong: {error}") from None
    if not any(cells):
        return None
    if len(cells) > len(header.columns) and any(cells[len(header.columns) :]):
        raise Refused(
            "not_csv",
            f"the row has {len(cells)} cells, its header {len(header.columns)}; quote the cells "
            "that contain the delimiter",
        )
    record: dict[str, Any] = {"outreach_id": None}
    attributes: dict[str, str] = {}
    for (name, is_attribute), cell in zip(header.columns, cells, strict=False):
        if is_attribute:
            record["attributes"] = attributes
            if cell:
                attributes[name] = cell
        elif cell and not cell.isspace():
            record[name] = cell.strip()
    return record


def join_rows(lines: Iterable[bytes], header: Header) -> Iterator[bytes]:
    """Puts the lines of each row together, for a quoted cell may contain line ends.

    A quote that nothing closes within 100 lines, or that makes no good row with the line that
    closes it, opens no cell: its line stays alone, to be refused, and those after it are rows.

    Args:
      lines: with their line ends, without the header.
      header: of these lines.

    Yields:
      Rows, with their line ends.
    """
    ahead: deque[bytes] = deque()
    unread = iter(lines)
    while (line := ahead.popleft() if ahead else next(unread, None)) is not None:
        if b'"' not in line or _ends(line, header) != _OPEN:
            yield line
            continue
        while len(ahead) < _MOST_LINES and (more := next(unread, None)) is not None:
            ahead.append(more)
        length = _length_of_row([line, *ahead], header)
        yield b"".join([line, *(ahead.popleft() for _ in range(length - 1))])


def _length_of_row(lines: list[bytes], header: Header) -> int:
    """How many of these lines, the first of which leaves a cell open, are one row."""
    for length, line in enumerate(lines[1:], start=2):
        if b'"' in line:
            end = _ends(b"".join(lines[:length]), header)
            if end != _OPEN:
                return length if end == _WHOLE else 1
    return 1


def _ends(row: bytes, header: Header) -> str:
    try:
        # Latin-1 gives any bytes a character each, and quotes and delimiters are ASCII.
        _cells(row.decode("latin-1"), header.delimiter)
    except csv.Error as error:
        return _OPEN if str(error) == "unexpected end of data" else _BAD
    return _WHOLE


def _cells(row: str, delimiter: str) -> list[str]:
    if '"' not in row:
        return row.split(delimiter)
    return next(csv.reader((row,), delimiter=delimiter, strict=True), [])


def _column(name: str) -> tuple[str, bool]:
    if name.casefold() in COLUMNS:
        return name.casefold(), False
    return name.removeprefix("attributes."), True
