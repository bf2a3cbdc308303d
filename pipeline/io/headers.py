"""The first line of each file that looks like a table, checked before anything is sent."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Final

from pipeline.io.files import open_file
from pipeline.io.framing import whole_lines
from transforms.errors import ConfigurationError
from transforms.formats.csv_rows import (
    COLUMNS,
    IDENTITIES,
    Columns,
    read_header,
    rename,
    split_header,
    without_separator,
)
from transforms.matching import kinds_of
from transforms.text import did_you_mean, listed, nearest

_BEGINNING: Final = 1 << 16
_TABLE: Final = re.compile(r"\.(?:csv|tsv)(?:\.\w+)?$", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"


def check_headers(paths: Iterable[str], columns: Columns = (), match: str = IDENTITIES[0]) -> None:
    """Returns where each file that is a table has a column for whom its rows name.

    A file is taken for a table by its name (``.csv``, ``.tsv``, compressed or not), or where its
    first line names another column of ours. Without that column, ``outreach_id`` for one, each of
    its rows would be a dead letter.

    Args:
      paths: of files, of any filesystem that Beam knows.
      columns: names for the columns, as of `transforms.formats.csv_rows.rename`.
      match: by what rows name a prospect, which is what the column is called.

    Raises:
      ConfigurationError: one lacks it; the message names the columns there are, and the nearest.
    """
    for path in paths:
        line = _first_line(path)
        if not line or line[0] in "{[":
            continue
        _, found = split_header(line)
        is_table = _TABLE.search(path) or any(name.casefold() in COLUMNS for name in found)
        folded = [name.casefold() for name in found]
        asked = [pair for pair in columns if pair[1].casefold() in folded]
        if not (is_table or asked):
            continue
        if columns and (asked or not _has(line, match)):
            for ours, theirs in columns:
                _check_named(path, ours, theirs, found)
        if _has(rename(line, columns), match):
            continue
        near = nearest(match, found) or nearest("prospect id", found)
        raise ConfigurationError(
            f"{path}: its header names no column {match}; the columns are {listed(found)}."
            f' Say which one names the prospects: --columns {match}="{near or "NAME"}"'
        )


def _has(line: str, match: str) -> bool:
    header = read_header(line)
    return header is not None and not set(kinds_of(match)).isdisjoint(header.identities)


def _check_named(path: str, ours: str, theirs: str, found: Sequence[str]) -> None:
    folded = [name.casefold() for name in found]
    if theirs.casefold() not in folded:
        if ours in folded:
            return
        near = did_you_mean(theirs, tuple(found))
        raise ConfigurationError(
            f"{path}: its header has no column {theirs!r}, which is to be {ours}{near or ';'}"
            f" the columns are {listed(found)}"
        )
    if ours in folded and theirs.casefold() != ours:
        raise ConfigurationError(
            f"{path}: its header has a column {ours} already, and {theirs!r} is to be that too;"
            f" leave {ours} out of --columns, or rename the column"
        )


def _first_line(path: str) -> str:
    """The first line that is not blank; empty where there is none, or it cannot be read."""
    with ExitStack() as stack:
        try:
            beginning = next(whole_lines(open_file(path, stack), _BEGINNING), b"")
        except (OSError, EOFError, UnicodeError, zlib.error, lzma.LZMAError):
            return ""  # Whoever reads the file says what is wrong.
    text = without_separator(beginning.removeprefix(_BOM).lstrip())
    return text.partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")
