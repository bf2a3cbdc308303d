"""Framing: where each arrival of a file begins and ends, decided by the file's beginning.

- **CSV**: the first line that is not blank names a column ``outreach_id``.
- **A document**: that line is no JSON value, but the whole file is one, of up to
  `LARGEST_DOCUMENT` bytes. It is one arrival.
- **JSON Lines**: anything else; each line is an arrival, whatever it holds.

Nothing else about the bytes is interpreted here, and none but blank ones are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import IO, Final, NamedTuple

import orjson

from transforms.formats.csv_rows import Header, join_rows, read_header

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
    """The bytes of a file in chunks of about a size, each cut after a line end."""
    pieces: list[bytes] = []
    while piece := file.read(size):
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, piece[:end]])
            pieces = [piece[end:]]
        else:
            pieces.append(piece)
    if last := b"".join(pieces):
        yield last


def frame(chunks: Iterator[bytes], size: int) -> Framed:
    """Tells a file's kind by its beginning.

    Args:
      chunks: of whole lines, read as they are needed.
      size: bytes of a batch of rows, about; a batch of lines is a chunk.
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
    pieces = [start[blank:]]
    first = pieces[0].partition(b"\n")[0].rstrip(b"\r")
    if not _is_json(first):
        text = first.decode(errors="replace")
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
    """The whole file, if it is one JSON value; adds to `pieces` whatever it reads."""
    if pieces[0].lstrip()[:1] not in (b"{", b"["):
        return None
    size = len(pieces[0])
    for piece in chunks:
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_DOCUMENT:
            return None
    whole = b"".join(pieces)
    return whole.rstrip(b"\r\n") if _is_json(whole) else None


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
