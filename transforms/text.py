"""How what was found is put to people: short, on one line, with the likeliest remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

_LONGEST = 60
_MOST = 8
_JSON_WORDS = {None: "null", True: "true", False: "false"}
_KINDS: dict[type, str] = {list: "a list", dict: "an object"}


def shown(value: object) -> str:
    """A value from the input, cut to what fits a line.

    Of a list or an object only the kind, because the repr of a deep one exhausts the stack.
    """
    if isinstance(value, str):
        value = value[: _LONGEST + 1]
    elif value is None or isinstance(value, bool):
        return _JSON_WORDS[value]
    elif not isinstance(value, int | float):
        return _KINDS.get(type(value), type(value).__name__)
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Iterable[str]) -> str:
    """Names from the input, quoted, the first few of them; ``none`` if there are none."""
    names = list(names)
    first = ", ".join(shown(name) for name in names[:_MOST])
    if len(names) > _MOST:
        return f"{first} and {len(names) - _MOST} more"
    return first or "none"


@lru_cache(maxsize=1024)
def nearest(word: str, words: tuple[str, ...]) -> str:
    """A question after the nearest of the words allowed, or nothing if none is near."""
    for known in words:
        if known.casefold() == word.strip().casefold():
            return f"; did you mean {known!r}?"
    found = get_close_matches(word[:_LONGEST], words, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
