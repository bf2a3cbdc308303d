"""What a server would see of a history of requests, and what a window then allows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms

HOUR = 3600.0
NO_WORD = RateLimits()
NOW = 1_767_225_600.0
thoroughly = settings(derandomize=True, deadline=None, max_examples=300)
# Steps of whole sixteenths add up without rounding, so that "an hour ago" is exact.
# Of every size: within a bucket, across some, across windows.
steps = st.sampled_from([1, 16, 16 * 60, 16 * 4000]).flatmap(
    lambda most: st.integers(0, most).map(lambda n: n / 16)
)
small_terms = st.builds(
    BudgetTerms,
    requests=st.integers(1, 40),
    per_seconds=st.sampled_from([60.0, 3600.0]),
    reserve=st.just(0),
)


def heard(
    budget: Budget, now: float, remaining: int | None = None, reset: float | None = None
) -> None:
    """A request that went alone is answered."""
    granted, _ = budget.take(1, now)
    assert granted == 1
    learn_last(budget, now, remaining, reset)


def learn_last(
    budget: Budget, now: float, remaining: int | None = None, reset: float | None = None
) -> None:
    sent = budget.answers
    budget.learn(RateLimits(10_000, remaining, reset), now, answers_when_sent=sent)


@dataclass
class Played:
    """A history of requests in which each arrived at some instant of its flight."""

    budget: Budget
    now: float = NOW
    in_flight: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def end(self, which: int, arrival: float, *, answered: bool) -> None:
        taken = self.in_flight.pop(which % len(self.in_flight))
        self.arrived.append(taken + math.floor((self.now - taken) * arrival * 16) / 16)
        self.ended.append(self.now)
        if answered:
            self.budget.learn(NO_WORD, self.now, answers_when_sent=0)
        else:
            self.budget.unanswered(self.now)


Move = tuple[Any, ...]
some_move = st.one_of(
    st.tuples(st.just("pass"), steps),
    st.tuples(st.just("take"), st.integers(1, 50)),
    st.tuples(
        st.just("end"),
        st.integers(0, 100),
        st.sampled_from([0.0, 0.3, 1.0]),
        st.booleans(),
    ),
)
moves = st.lists(some_move, max_size=80)


def play(terms: BudgetTerms, history: list[Move]) -> Iterator[tuple[Played, int, int]]:
    """Yields at each take: the history so far, what was wanted and what was granted."""
    played = Played(Budget(terms))
    for move in history:
        match move:
            case ("pass", seconds):
                played.now += seconds
            case ("take", wanted):
                granted, wait_seconds = played.budget.take(wanted, played.now)
                yield played, wanted, granted
                played.in_flight += [played.now] * granted
                assert (granted == wanted) == (wait_seconds == 0)
            case ("end", which, arrival, answered) if played.in_flight:
                played.end(which, arrival, answered=answered)
    # Those without an answer may arrive at any time: first at once, then at the end.
    yield played, 0, 0


@dataclass
class Server:
    """A user's limit as a server counts it, fixed or sliding."""

    limit: int
    per_seconds: float
    sliding: bool
    spends: deque[float] = field(default_factory=deque)

    def left(self, now: float) -> int:
        while self.spends and self.spends[0] <= self.start(now):
            self.spends.popleft()
        return self.limit - len(self.spends)

    def start(self, now: float) -> float:
        if self.sliding:
            return now - self.per_seconds
        # Half a step before the window opens: what is spent on the hour is of that hour.
        return now - now % self.per_seconds - 1 / 32

    def spend(self, now: float) -> tuple[bool, RateLimits]:
        allowed = self.left(now) > 0
        if allowed:
            self.spends.append(now)
        reset = self.spends[0] + self.per_seconds if self.sliding else self._next_hour(now)
        return allowed, RateLimits(self.limit, self.left(now), math.ceil(reset))

    def _next_hour(self, now: float) -> float:
        return now - now % self.per_seconds + self.per_seconds


@dataclass
class Client:
    """Sends as a sender does: a probe alone, otherwise all that is granted."""

    budget: Budget
    server: Server
    now: float
    in_flight: list[tuple[int, bool, RateLimits | None]] = field(default_factory=list)
    refused: int = 0

    def send(self, wanted: int) -> None:
        probe = self.budget.needs_probe(self.now)
        if probe and self.in_flight:
            return
        granted, _ = self.budget.take(1 if probe else wanted, self.now)
        self.in_flight += [(self.budget.answers, probe, None)] * granted

    def arrive(self, which: int) -> None:
        which %= len(self.in_flight)
        sent, probe, limits = self.in_flight[which]
        if limits is None:
            allowed, limits = self.server.spend(self.now)
            self.in_flight[which] = (sent, probe, limits)
            if not allowed:
                assert probe, "only a request that went alone may find the budget spent by others"
                self.refused += 1

    def answer(self, which: int) -> None:
        self.arrive(which)
        sent, _, limits = self.in_flight.pop(which % len(self.in_flight))
        assert limits is not None
        self.budget.learn(limits, self.now, answers_when_sent=sent)
        if self.refused:
            self.refused = 0
            self.budget.exhausted(limits.reset or 0.0, self.now)
