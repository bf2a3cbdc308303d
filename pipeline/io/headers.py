"""The first line of each file that looks like a table, checked before anything is sent."""

from __future__ import annotations

import csv
import lzma
import re
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Final

from pipeline.io.files import open_file
from transforms.errors import ConfigurationError
from transforms.formats.csv_rows import COLUMNS, read_header
from transforms.text import listed, nearest

_BEGINNING: Final = 1 << 16
_TABLE: Final = re.compile(r"\.(?:csv|tsv)(?:\.\w+)?$", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"


def check_headers(paths: Iterable[str]) -> None:
    """Returns where each file that is a table has a column ``outreach_id``.

    A file is taken for a table by its name (``.csv``, ``.tsv``, compressed or not), or where its
    first line names another column of ours. Without ``outreach_id`` each of its rows would be a
    dead letter.

    Args:
      paths: of files, of any filesystem that Beam knows.

    Raises:
      ConfigurationError: one lacks it; the message names the columns there are, and the nearest.
    """
    for path in paths:
        first = _first_line(path)
        columns = _columns(first)
        is_table = _TABLE.search(path) or any(name.casefold() in COLUMNS for name in columns)
        if not columns or not is_table or read_header(first) is not None:
            continue
        near = nearest("outreach_id", columns) or nearest("prospect id", columns)
        meant = "the one with the prospects' ids" if near is None else repr(near)
        raise ConfigurationError(
            f"{path}: its header names no column outreach_id; the columns are {listed(columns)}."
            f" Rename {meant} to outreach_id"
        )


def _first_line(path: str) -> str:
    """The first line that is not blank; empty where there is none, or it cannot be read."""
    with ExitStack() as stack:
        try:
            beginning = open_file(path, stack).read(_BEGINNING)
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            return ""  # Whoever reads the file says what is wrong.
    text = beginning.removeprefix(_BOM).lstrip().partition(b"\n")[0].rstrip(b"\r")
    return text.decode(errors="replace")


def _columns(line: str) -> list[str]:
    """The cells of a line, at the delimiter that gives the most; none where it is JSON."""
    if not line or line[0] in "{[":
        return []
    split: list[list[str]] = []
    for delimiter in ",;\t":
        try:
            split.append(next(csv.reader((line,), delimiter=delimiter, strict=True), []))
        except csv.Error:
            continue
    return [cell.strip() for cell in max(split, key=len, default=[])]
