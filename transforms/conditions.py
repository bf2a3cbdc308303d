"""Conditions on a record's profile attributes: who is written at all. Plain data, no Beam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one attribute; exactly one of the three is given.

    Attributes:
      source: the attribute's path, such as ``person.country``.
      one_of: values, one of which it has; None where that is not asked.
      exists: whether it holds anything; None where that is not asked.
    """

    source: str
    one_of: tuple[Any, ...] | None = None
    exists: bool | None = None

    def holds(self, find: Callable[[str], object]) -> bool:
        """Returns whether it holds; `find` returns an attribute of the record, None if absent."""
        value = find(self.source)
        if self.exists is not None:
            return (value not in _EMPTY) is self.exists
        values = value if isinstance(value, list) else [value]
        return any(_same(each, one) for each in values for one in self.one_of or ())

    def __str__(self) -> str:
        if self.exists is not None:
            return f"{self.source} {'exists' if self.exists else 'does not exist'}"
        values = self.one_of or ()
        if len(values) == 1:
            return f"{self.source} is {values[0]!r}"
        return f"{self.source} is one of {', '.join(map(repr, values))}"


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions, of which all are to hold, or any.

    Attributes:
      parts: at least one.
      is_all: whether all are to hold.
    """

    parts: tuple[Condition, ...]
    is_all: bool

    def holds(self, find: Callable[[str], object]) -> bool:
        """As of `Test`."""
        found = (part.holds(find) for part in self.parts)
        return all(found) if self.is_all else any(found)

    def __str__(self) -> str:
        word = " and " if self.is_all else " or "
        return f"({word.join(map(str, self.parts))})"


Condition: TypeAlias = "Test | Group"


def sources(condition: Condition) -> Iterator[str]:
    """The attributes that a condition looks at."""
    if isinstance(condition, Test):
        yield condition.source
        return
    for part in condition.parts:
        yield from sources(part)


def _same(value: object, wanted: object) -> bool:
    """Equal as people write it: text without regard to capitals, and a number as text too."""
    if value in _EMPTY or isinstance(value, bool) is not isinstance(wanted, bool):
        return False
    return str(value).strip().casefold() == str(wanted).strip().casefold()
