"""State and timers as plain objects, to call a stage's callbacks one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from transforms.elements import Patch
from transforms.stages.patch_stateful import PaceDoFn


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


class PaceKey:
    """A key of `PaceDoFn`: its state and timers, by the names that its callbacks give them."""

    def __init__(self, dofn: PaceDoFn, key: str) -> None:
        self.dofn = dofn
        self.key = key
        self.queued, self.head, self.tail, self.granted = Bag(), Bag(), Bag(), Bag()
        self.tail_length, self.allowed, self.awake, self.worker = Cell(), Cell(), Cell(), Cell()
        self.spent, self.paced = Cell(), Cell()
        self.timers = {name: Timer() for name in ("grant", "send", "window_ends")}

    def waits(self) -> list[Patch]:
        """What is in any of its bags."""
        bags = (self.queued, self.head, self.tail, self.granted)
        return [patch for bag in bags for patch in bag.elements]

    def process(self, patch: Patch) -> None:
        self._call(self.dofn.process, keyed=(self.key, patch))

    def fire(self, timer: str) -> list[Any]:
        """Fires a timer; returns what comes out."""
        self.timers[timer].at = None
        return self.call_back(timer)

    def call_back(self, timer: str) -> list[Any]:
        """Calls what a timer calls, which stays set; returns what comes out."""
        return list(self._call(getattr(self.dofn, timer)))

    def _call(self, callback: Callable[..., Any], **given: Any) -> Any:
        has = vars(self) | self.timers | given
        return callback(**{name: has[name] for name in inspect.signature(callback).parameters})
