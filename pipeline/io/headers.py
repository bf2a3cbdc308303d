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
    Columns,
    read_header,
    rename,
    split_header,
    without_separator,
)
from transforms.text import did_you_mean, listed, nearest

_BEGINNING: Final = 1 << 16
_TABLE: Final = re.compile(r"\.(?:csv|tsv)(?:\.\w+)?$", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"


def check_headers(paths: Iterable[str], columns: Columns = ()) -> None:
    """Returns where each file that is a table has a column ``outreach_id``, and all that is named.

    A file is taken for a table by its name (``.csv``, ``.tsv``, compressed or not), or where its
    first line names another column of ours. Without ``outreach_id`` each of its rows would be a
    dead letter.

    Args:
      paths: of files, of any filesystem that Beam knows.
      columns: names for the columns, as of `transforms.formats.csv_rows.rename`.

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
        if columns and (asked or read_header(line) is None):
            for ours, theirs in columns:
                _check_named(path, ours, theirs, found)
        if read_header(rename(line, columns)) is not None:
            continue
        near = nearest("outreach_id", found) or nearest("prospect id", found)
        raise ConfigurationError(
            f"{path}: its header names no column outreach_id; the columns are {listed(found)}."
            f' Say which one holds the prospects\' ids: --columns outreach_id="{near or "NAME"}"'
        )


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
