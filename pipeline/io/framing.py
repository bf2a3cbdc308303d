"""Framing: where each arrival of a file begins and ends, decided by the file's beginning.

- **CSV**: the first line that is not blank names a column ``outreach_id``, ``email``,
  ``external_id``, ``domain`` or ``name``.
- **A document**: that line is no JSON value, but the whole file is one, or several after one
  another, of up to `LARGEST_DOCUMENT` bytes. It is one arrival.
- **JSON Lines**: anything else; each line is an arrival, whatever it holds.

Nothing else about the bytes is interpreted here, and none but blank ones are dropped. UTF-16 with a
byte order mark becomes UTF-8.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import IO, Final, NamedTuple

import orjson

from transforms.formats.csv_rows import (
    Columns,
    Header,
    join_rows,
    read_header,
    rename,
    without_separator,
)
from transforms.formats.values import loads, split_values

LARGEST_DOCUMENT: Final = 64 << 20
"""Bytes of a JSON value over many lines; reading one takes some ten times its size in memory."""

_BOM: Final = b"\xef\xbb\xbf"


class Framed(NamedTuple):
    """A file's arrivals.

    Attributes:
      header: the CSV header; None of JSON.
      line: the number of the first arrival's line, from 1.
      batches: lines or rows without their line ends, a chunk's worth at a time.
    """

    header: str | None
    line: int
    batches: Iterable[list[bytes]]


def whole_lines(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of a file in chunks of about a size, each cut after a line end.

    Raises:
      UnicodeDecodeError: it begins as UTF-16 and is none.
    """
    pieces: list[bytes] = []
    for piece in _utf8(file, size):
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, piece[:end]])
            pieces = [piece[end:]]
        else:
            pieces.append(piece)
    if last := b"".join(pieces):
        yield last


def _utf8(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of a file; from UTF-16 with a byte order mark into UTF-8."""
    first = file.read(size)
    chunks = chain((first,), iter(lambda: file.read(size), b"")) if first else iter(())
    if not first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from chunks
        return
    for text in codecs.iterdecode(chunks, "utf-16"):
        yield text.encode(errors="surrogatepass")


def frame(chunks: Iterator[bytes], size: int, columns: Columns = ()) -> Framed:
    """Tells a file's kind by its beginning.

    Args:
      chunks: of whole lines, read as they are needed.
      size: bytes of a batch of rows, about; a batch of lines is a chunk.
      columns: names for the columns of a table, as of `transforms.formats.csv_rows.rename`.
    """
    line = 1
    start = next(chunks, b"").removeprefix(_BOM)
    while start.isspace():
        line += start.count(b"\n")
        start = next(chunks, b"")
    if not start:
        return Framed(None, line, ())
    blank = start.rfind(b"\n", 0, len(start) - len(start.lstrip())) + 1
    line += start.count(b"\n", 0, blank)
    table = without_separator(start[blank:])
    line += len(table) < len(start) - blank
    pieces = [table or next(chunks, b"")]
    first = pieces[0].partition(b"\n")[0].rstrip(b"\r")
    if not _is_json(first):
        text = rename(first.decode(errors="replace"), columns)
        header = read_header(text)
        if header is not None:
            return Framed(text, line + 1, _rows(chain(pieces, chunks), header, size))
        document = _document(pieces, chunks)
        if document is not None:
            return Framed(None, line, ([document],))
    return Framed(None, line, map(_lines, chain(pieces, chunks)))


def _lines(chunk: bytes) -> list[bytes]:
    lines = chunk.removesuffix(b"\n").split(b"\n")
    return [line.removesuffix(b"\r") for line in lines] if b"\r" in chunk else lines


def _rows(chunks: Iterable[bytes], header: Header, size: int) -> Iterator[list[bytes]]:
    lines = chain.from_iterable(BytesIO(chunk) for chunk in chunks)
    next(lines)  # the header itself
    batch: list[bytes] = []
    held = 0
    for row in join_rows(lines, header):
        batch.append(row.rstrip(b"\r\n"))
        held += len(row)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _document(pieces: list[bytes], chunks: Iterator[bytes]) -> bytes | None:
    """The whole file, if it is JSON over many lines; adds to `pieces` whatever it reads."""
    if pieces[0].lstrip()[:1] not in (b"{", b"["):
        return None
    size = len(pieces[0])
    for piece in chunks:
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_DOCUMENT:
            return None
    whole = b"".join(pieces)
    if not _is_json(whole):
        several = next(split_values(whole), b"")
        if b"\n" not in several:  # Values of one line each are read line by line.
            return None
    return whole.rstrip(b"\r\n")


def _is_json(text: bytes) -> bool:
    try:
        loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
