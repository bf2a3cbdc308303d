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


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that was most likely meant, in any case; None if none is near."""
    by_case = {each.casefold(): each for each in known}
    found = get_close_matches(word.strip().casefold()[:_LONGEST], by_case, n=1)
    return by_case[found[0]] if found else None


@lru_cache(maxsize=1024)
def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Returns ``; did you mean 'x'?`` with the nearest known word, or nothing if none is near."""
    near = nearest(word, known)
    return "" if near is None else f"; did you mean {near!r}?"
