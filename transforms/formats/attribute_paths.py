"""Profile attributes: finding the wanted ones in a record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

Wanted = tuple[tuple[str, tuple[str, ...]], ...]
"""The attributes to look for: each one's path as it is written, and in its parts."""

ABSENT: Final = object()
"""What `find` answers where there is no value, as distinct from null."""


@lru_cache(maxsize=64)
def wanted(sources: tuple[str, ...]) -> Wanted:
    """Paths such as ``person.name.firstName``, ready for `find`."""
    return tuple((source, tuple(source.split("."))) for source in sources)


def find(source: str, path: tuple[str, ...], places: Sequence[dict[str, Any]]) -> object:
    """The value of an attribute in the first place that has it, or `ABSENT`.

    A key spelled like the whole path goes before one reached by its parts. ``{"value": …}``
    stands for what it holds, and ``{}`` for no value, as Experience Platform writes them.
    """
    for place in places:
        value = place.get(source, ABSENT)
        if value is ABSENT:
            value = _descend(place, path)
        if value is ABSENT:
            continue
        if type(value) is dict:
            if not value:
                return ABSENT
            if "value" in value:
                return value["value"]
        return value
    return ABSENT


def _descend(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        if type(value) is not dict or key not in value:
            return ABSENT
        value = value[key]
    return value
