"""Changes as they arrive at one Outreach user: a burst, a stream, or both; the same for a seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from transforms.elements import Change

HOUR = 3600.0
AUDIENCES = 3
"""A prospect is in so many audiences, each with a field of its own."""
BURST_SECONDS = 300.0
"""How long an initial sync takes to arrive."""
REPEATED = 0.1
"""Of a stream's changes, so many say what the last one of their field said."""


class Arrival(NamedTuple):
    """Changes of one prospect that arrive together, at a time in seconds."""

    at: float
    changes: list[Change]


class _Told(NamedTuple):
    at: float
    prospect: int
    values: list[tuple[str, str]]


def burst(prospects: int, seed: int) -> list[Arrival]:
    """An initial sync: each prospect once, with all its audiences."""
    return list(_numbered(_burst(prospects, seed)))


def stream(prospects: int, per_hour: float, hours: float, seed: int) -> list[Arrival]:
    """Changes at any time, of prospects of whom few change often: the nth, a nth as often.

    Args:
      prospects: of this user.
      per_hour: changes of all of them.
      hours: how long.
      seed: of what is random.
    """
    return list(_numbered(_stream(prospects, per_hour, hours, seed)))


def both(prospects: int, per_hour: float, hours: float, seed: int) -> list[Arrival]:
    """A stream that begins with a burst."""
    told = heapq.merge(_burst(prospects, seed), _stream(prospects, per_hour, hours, seed))
    return list(_numbered(told))


def _burst(prospects: int, seed: int) -> Iterator[_Told]:
    source = random.Random(f"burst {seed}")
    order = list(range(1, prospects + 1))
    source.shuffle(order)
    times = sorted(source.uniform(0.0, BURST_SECONDS) for _ in order)
    for at, prospect in zip(times, order, strict=True):
        values = [(f"custom{number + 1}", '"realized"') for number in range(AUDIENCES)]
        yield _Told(at, prospect, values)


def _stream(prospects: int, per_hour: float, hours: float, seed: int) -> Iterator[_Told]:
    source = random.Random(f"stream {seed}")
    by_frequency = list(range(1, prospects + 1))
    source.shuffle(by_frequency)
    weights = list(accumulate(1 / place for place in range(1, prospects + 1)))
    values: dict[tuple[int, str], str] = {}
    at = 0.0
    while True:
        at += source.expovariate(per_hour / HOUR)
        if at >= hours * HOUR:
            return
        (prospect,) = source.choices(by_frequency, cum_weights=weights)
        field = f"custom{source.randrange(AUDIENCES) + 1}"
        value = values.get((prospect, field), '"realized"')
        if source.random() >= REPEATED:
            value = '"exited"' if value == '"realized"' else '"realized"'
        values[prospect, field] = value
        yield _Told(at, prospect, [(field, value)])


def _numbered(told: Iterable[_Told]) -> Iterator[Arrival]:
    sequence = 0
    for at, prospect, values in told:
        changes = []
        for field, value in values:
            sequence += 1
            place = (field, None, value, round(at * 1e6), sequence)
            changes.append(Change(str(sequence), prospect, "ops", field, value, *place))
        yield Arrival(at, changes)
