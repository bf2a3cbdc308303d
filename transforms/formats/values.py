"""JSON as written in practice: several values in one text, and invalid numbers.

`jq` writes one value after the other, each over many lines; exporters write ``NaN``. Neither is
JSON as RFC 8259 has it, and what is meant by both is plain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

_DECODER: Final = json.JSONDecoder()
_NEXT: Final = re.compile(r"\n(?=[{\[])")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NO_NUMBER: Final = re.compile(rb"\b(?:NaN|Infinity)\b")


def split_values(text: bytes) -> Iterator[bytes]:
    """The values of a text of more than one object or list; yields nothing where it is no such.

    What is broken among them is yielded as it is, up to the next line that begins a value, so that
    it costs no more than itself.
    """
    try:
        rest = text.decode().strip(" \t\r\n")
        _, end = _DECODER.raw_decode(rest)
    except (ValueError, RecursionError):
        return
    if end == len(rest) or rest[:1] not in {"{", "["} or rest[_space(rest, end)] not in "{[":
        return
    yield rest[:end].encode()
    while (start := _space(rest, end)) < len(rest):
        try:
            _, end = _DECODER.raw_decode(rest, start)
        except (ValueError, RecursionError):
            following = _NEXT.search(rest, start + 1)
            end = following.start() if following else len(rest)
        yield rest[start:end].encode()


def _space(text: str, at: int) -> int:
    """Returns the position after the blanks at a position."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def loads(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Reads a JSON value, with ``NaN`` and ``Infinity`` as the numbers that they are not.

    Raises:
      orjson.JSONDecodeError: it is none.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if not _NO_NUMBER.search(text):
            raise
        try:
            value = json.loads(text)
            orjson.dumps(
                value
            )  # Else it holds what cannot be written again, such as half a character.
        except (ValueError, RecursionError, TypeError):
            pass
        else:
            return value
        raise
