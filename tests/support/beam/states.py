"""State and timers as plain objects, to call a stage's callbacks one by one."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any


class Bag:
    """As Beam's bag state."""

    def __init__(self, *elements: Any) -> None:
        self.elements = list(elements)

    def add(self, element: Any) -> None:
        self.elements.append(element)

    def read(self) -> Iterable[Any]:
        return iter(self.elements)

    def clear(self) -> None:
        self.elements = []

    def copy(self) -> Bag:
        return deepcopy(self)


class Cell:
    """As Beam's read-modify-write state."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value = value

    def clear(self) -> None:
        self.value = None

    def copy(self) -> Cell:
        return deepcopy(self)


class Timer:
    """As Beam's timers; `at` is in seconds, None where it is not set."""

    def __init__(self) -> None:
        self.at: float | None = None

    def set(self, at: Any) -> None:
        self.at = float(at)

    def clear(self) -> None:
        self.at = None
