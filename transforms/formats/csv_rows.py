"""CSV with a header, or the same delimited by ``;``, ``|`` or tabs: each row a flat record.

The columns ``outreach_id, segment, status, event_time, namespace`` are told by their names in
any order; any other column is an attribute, named by its header without ``attributes.``. An
empty cell means that there is nothing: a row cannot clear an attribute. A prospect may be named by
``email`` or ``external_id`` in place of ``outreach_id``, an account by ``domain`` or ``name``;
these are attributes besides.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

from transforms.formats.validation import Refused

COLUMNS: Final = ("outreach_id", "segment", "status", "event_time", "namespace")
IDENTITIES: Final = ("outreach_id", "email", "external_id", "domain", "name")
"""Columns of which a header has one: by them a row names its prospect."""
DELIMITERS: Final = ",;\t|"
_SEPARATOR: Final = re.compile(rb"sep=[^\r\n]\r?\n", re.IGNORECASE)
_MOST_LINES: Final = 100
_LONGEST_HEADER: Final = 1 << 16
_WHOLE, _OPEN, _BAD = "whole", "open", "bad"


Columns = Sequence[tuple[str, str]]
"""Pairs of what a column holds, such as ``outreach_id``, and what a header calls it."""


class Header(NamedTuple):
    """What a header line says about the rows below it.

    Attributes:
      delimiter: one character.
      columns: the name of each, and whether it is an attribute.
      identities: those of `IDENTITIES` that it has.
    """

    delimiter: str
    columns: tuple[tuple[str, bool], ...]
    identities: tuple[str, ...] = IDENTITIES[:1]

    @property
    def named_otherwise(self) -> bool:
        """Whether rows may name their prospects by something else than the OutreachId."""
        return self.identities != IDENTITIES[:1]


def without_separator(text: bytes) -> bytes:
    """A text without the line ``sep=;`` that spreadsheets put before a header."""
    found = _SEPARATOR.match(text)
    return text[found.end() :] if found else text


def split_header(line: str) -> tuple[str, list[str]]:
    """The delimiter that gives a line the most cells, and those cells; none of an empty line."""
    best: tuple[str, list[str]] = (DELIMITERS[0], [])
    for delimiter in DELIMITERS:
        with suppress(csv.Error):
            cells = [cell.strip() for cell in _cells(line.strip("\ufeff\r\n"), delimiter)]
            if len(cells) > len(best[1]):
                best = (delimiter, cells)
    return best if line else (best[0], [])


def rename(line: str, columns: Columns) -> str:
    """A header whose columns are called what they hold; as it is where it has none of them.

    Args:
      line: the header.
      columns: what is to be called how; capitals make no difference.
    """
    if not columns:
        return line
    delimiter, cells = split_header(line)
    names = {theirs.strip().casefold(): ours for ours, theirs in columns}
    renamed = [names.get(cell.casefold(), cell) for cell in cells]
    if renamed == cells:
        return line
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(renamed)
    return text.getvalue()


@lru_cache(maxsize=64)
def read_header(line: str) -> Header | None:
    """Returns a line read as a header; None if none of its columns identifies a prospect."""
    line = line.strip("\ufeff\r\n")
    folded = line.casefold()
    if len(line) > _LONGEST_HEADER or not any(name in folded for name in IDENTITIES):
        return None
    if "\r" in line:
        return None  # lines that end so would all be taken for one header
    for delimiter in DELIMITERS:
        try:
            cells = _cells(line, delimiter)
        except csv.Error:
            continue
        columns = tuple(_column(cell.strip()) for cell in cells)
        if _identities(columns):
            return Header(delimiter, columns, _identities(columns))
    return None


def read_row(row: bytes, header: Header | None) -> dict[str, Any] | None:
    """A row, without its line end, as a flat record; None if no cell of it is filled.

    Raises:
      Refused: ``not_csv``: its header, its encoding, its quotes or the number of its cells
        is wrong.
    """
    if header is None:
        raise Refused(
            "not_csv", "the header names no column outreach_id, email, external_id, domain or name"
        )
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
    _check_length(cells, header)
    return _record(cells, header)


def _check_length(cells: list[str], header: Header) -> None:
    if len(cells) > len(header.columns) and any(cells[len(header.columns) :]):
        raise Refused(
            "not_csv",
            f"the row has {len(cells)} cells, its header {len(header.columns)}; quote the cells "
            "that contain the delimiter",
        )


def _record(cells: list[str], header: Header) -> dict[str, Any]:
    record: dict[str, Any] = dict.fromkeys(header.identities)
    attributes: dict[str, str] = {}
    by_key = header.named_otherwise
    for (name, is_attribute), cell in zip(header.columns, cells, strict=False):
        if is_attribute:
            record["attributes"] = attributes
            if cell:
                attributes[name] = cell
            if by_key and name.casefold() in IDENTITIES:
                record[name.casefold()] = cell.strip() or None
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


def _identities(columns: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
    names = {name.casefold() for name, _ in columns}
    return tuple(name for name in IDENTITIES if name in names)


def _column(name: str) -> tuple[str, bool]:
    if name.casefold() in COLUMNS:
        return name.casefold(), False
    return name.removeprefix("attributes."), True
