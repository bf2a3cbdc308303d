"""One Outreach user's budget: arithmetic on a sliding window, no clock, no sleep, no Beam.

What it keeps, whatever is asked of it: **in no span of `per_seconds`, as the server sees
them, do more than `allowance` requests arrive.** A request arrives at an instant between
its grant and its end, which nobody here sees; so it counts from its grant, for as long as
it has no end, and from its end for `per_seconds` more. Of the requests that arrive in one
span, look at the one granted last: each other arrived within the span, so it ended less
than `per_seconds` before that grant, or not yet; all were counted when it was granted.

And nothing is withheld: what the window allows is granted at once, never smeared over it.
Spends are kept in a few hundred buckets, each as young as its youngest spend, so that a
spend counts up to one bucket's width too long and never too short.

Outreach's limit is 10,000 requests an hour and user; whether its hour is fixed or slides
is not documented, and any sliding hour within the limit keeps every fixed one within it.
"""

from __future__ import annotations

import struct
from math import inf
from typing import Final, Self

from transforms.budget.rate_limits import RateLimits
from transforms.budget.refusal import Refusal
from transforms.budget.server_remaining import ServerRemaining, reset_at
from transforms.budget.shards import share, share_left
from transforms.budget.sliding_window import SlidingWindow
from transforms.budget.terms import BudgetTerms

_PAUSE_MOST_SECONDS: Final = 60.0
_STEP_MOST_SECONDS: Final = 60.0
_COUNT_MOST: Final = 2**31 - 1
_DUMP: Final = struct.Struct("<BIIqdddddd?")
_DUMP_VERSION: Final = 1


class Budget:
    """Counts one user's requests, and is corrected by what the server says is left.

    Each request granted by `take` comes to one end: `learn` (it was answered),
    `unanswered`, or `give_back` (it was never sent). Every ``now`` is in epoch seconds.

    The server's word overrules the count, downwards and at once: until a newer answer, or
    the reset it names, no more is granted than it said was left. What others spend shows
    nowhere else, so where `needs_probe` says so, a request is to go alone.

    Where the terms are for one of several lanes, all of the above holds of the lane's share,
    and so of all lanes together. What the server says is left is the whole user's. The lane
    takes no more than its share of that until it hears again: so others are not robbed where
    strangers spend, and where it is only the other lanes that spend, each next answer allows
    more, until the lane has spent all its own.

    A ``now`` up to a minute older than the last one is taken for the last one. A clock set
    back further makes every later spend as young as can be: for up to a window too little
    is granted, never too much. A clock set *forward* cannot be told from time that passed.

    Attributes:
      terms: what was agreed.
      answers: requests that came to their end, answered or not. To be noted when a request
        is sent, and given to `learn` with its answer.
    """

    def __init__(self, terms: BudgetTerms) -> None:
        self.terms = terms
        self.answers = 0
        self._per_seconds = float(terms.per_seconds)
        self._pause = min(_PAUSE_MOST_SECONDS, self._per_seconds / 60)
        self._limit = 0
        self._allowance = terms.allowance
        self._now = -inf
        self._window = SlidingWindow(self._per_seconds)
        self._in_flight = 0
        self._taken_at = -inf
        self._server = ServerRemaining()
        self._refusal = Refusal()
        self._heard_at = -inf
        self._probing = True
        self._probe_after = 0

    def __repr__(self) -> str:
        left = f", server_left={self._server_left()}" if self._now < self._server.until else ""
        until = self._refusal.until
        return (
            f"Budget(allowance={self._allowance} per {self._per_seconds:g} s, "
            f"spent={self._window.spent}, in_flight={self._in_flight}{left}"
            f"{f', blocked_until={until}' if self._now < until else ''})"
        )

    @property
    def allowance(self) -> int:
        """Requests allowed in a window: the terms', or less where the server's limit is lower."""
        return self._allowance

    @property
    def in_flight(self) -> int:
        """Requests granted that have not come to their end."""
        return self._in_flight

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """Asks for requests, of which those granted may be sent at once and are debited.

        Returns:
          How many are granted, and, where that is less than was wanted, the seconds after
          which asking again gives at least one more unless an answer changes that; else 0.
        """
        now = self._advance(now)
        granted = max(0, min(wanted, self._available(now)))
        if granted > 0:
            if self.needs_probe(now):
                self._probing = True
            self._in_flight += granted
            self._taken_at = now
        return granted, (0.0 if granted >= wanted else self._next_at(now) - now)

    def learn(self, limits: RateLimits, now: float, *, answers_when_sent: int) -> None:
        """One request was answered: its spend moves to now, and its headers are heeded.

        Args:
          limits: the answer's; whatever it lacks leaves things as they were.
          now: when it came.
          answers_when_sent: `answers` when this request was sent.
        """
        now = self._end_one(now)
        self._heard_at = now
        if answers_when_sent >= self._probe_after:
            self._probing = False
        if limits.limit is not None and limits.limit > 0:
            self._heed_limit(limits.limit)
        if limits.remaining is None:
            self._server.miss(self.answers)
            return
        self._server.hear(
            min(max(0, limits.remaining), _COUNT_MOST),
            reset_at(limits.reset, now, self._per_seconds),
            now,
            answer=self.answers,
            sent_after=answers_when_sent,
        )

    def unanswered(self, now: float) -> None:
        """One request came to its end without an answer: it may have reached the server."""
        self._end_one(now)
        self._server.miss(self.answers)

    def give_back(self, count: int = 1) -> None:
        """Requests that were granted and never sent are free again."""
        self._in_flight -= min(count, self._in_flight)

    def settle(self, now: float, within_seconds: float = inf) -> None:
        """Nobody will tell of those in flight any more: each counts as spent.

        Args:
          now: at the latest then.
          within_seconds: of its grant, a request has reached the server or never will, such
            as the longest that a client waits.
        """
        now = self._advance(now)
        if self._in_flight:
            self._window.add(self._in_flight, min(now, self._taken_at + within_seconds))
            self.answers += self._in_flight
            self._server.miss(self.answers, self._in_flight)
            self._in_flight = 0

    def exhausted(self, until: float, now: float) -> None:
        """An answer was 429, and was learnt from: nothing is granted until then.

        Args:
          until: as the server says; bounded as `Refusal.hear` says.
          now: when the answer came.
        """
        now = self._advance(now)
        self._refusal.hear(until, now, self._per_seconds)
        self._probing = True
        self._probe_after = self.answers

    def available(self, now: float) -> int:
        """Requests that would be granted at this instant."""
        return self._available(self._advance(now))

    def withheld(self, now: float) -> int:
        """Of the requests that our own spends leave, those that others spent or a 429 forbids."""
        now = self._advance(now)
        own = self._allowance - self._window.spent - self._in_flight
        return max(0, own) - self._available(now)

    def next_at(self, now: float) -> float:
        """When at least one would be granted, unless an answer changes that."""
        return self._next_at(self._advance(now))

    def even_rate(self, now: float) -> float:
        """Requests a second that can be kept up from now on, if nobody else spends any."""
        return self._window.even_rate(self.available(now), now)

    def needs_probe(self, now: float) -> bool:
        """Whether the next request is to go alone, and nothing beside it until it is answered.

        So before the first answer, after a 429, and after a minute without any answer (a
        sixtieth of a shorter window): what others spent meanwhile shows only in an answer.
        """
        return self._probing or (not self._in_flight and now - self._heard_at > self._pause)

    def dump(self) -> bytes:
        """All that a later `load` needs, 4 KB at most; no secret is in it."""
        head = _DUMP.pack(
            _DUMP_VERSION,
            self._limit,
            self._in_flight,
            self._server.left - self._in_flight,
            self._now,
            self._taken_at,
            self._server.until,
            self._refusal.until,
            self._refusal.seconds,
            self._heard_at,
            self._probing,
        )
        return head + self._window.dump()

    @classmethod
    def load(cls, dumped: bytes, terms: BudgetTerms) -> Self:
        """A budget that goes on where another stopped, perhaps under other terms.

        Requests that were in flight still are; if nobody can tell of them, `settle` them.

        Raises:
          ValueError: this is no dump of a version that is known.
        """
        if len(dumped) < _DUMP.size or dumped[0] != _DUMP_VERSION:
            raise ValueError("not a budget, or one that another version has written")
        budget = cls(terms)
        (
            _,
            limit,
            budget._in_flight,
            budget._server.left,
            budget._now,
            budget._taken_at,
            budget._server.until,
            budget._refusal.until,
            budget._refusal.seconds,
            budget._heard_at,
            budget._probing,
        ) = _DUMP.unpack_from(dumped)
        budget._server.left += budget._in_flight
        budget._window = SlidingWindow.load(dumped[_DUMP.size :], budget._per_seconds)
        if limit:
            budget._heed_limit(limit)
        return budget

    def _advance(self, now: float) -> float:
        if now < self._now:
            if self._now - now <= min(self._per_seconds, _STEP_MOST_SECONDS):
                return self._now
            self._step_back(now)
        self._now = now
        self._window.advance(now)
        return now

    def _step_back(self, now: float) -> None:
        self._window.rejuvenate(now)
        self._taken_at = min(self._taken_at, now)
        self._heard_at = min(self._heard_at, now)
        self._server.until = min(self._server.until, now + self._per_seconds)
        self._refusal.until = min(self._refusal.until, now + self._per_seconds)

    def _end_one(self, now: float) -> float:
        now = self._advance(now)
        self.answers += 1
        self._in_flight = max(0, self._in_flight - 1)
        self._window.add(1, now)
        return now

    def _heed_limit(self, limit: int) -> None:
        # Kept as it was said: it may be loaded under other terms.
        self._limit = min(limit, _COUNT_MOST)
        whole = min(limit, self.terms.requests) - self.terms.reserve
        self._allowance = max(1, share(whole, self.terms.lane, self.terms.lanes))

    def _available(self, now: float) -> int:
        if now < self._refusal.until:
            return 0
        free = self._allowance - self._window.spent - self._in_flight
        if now < self._server.until:
            free = min(free, self._server_left())
        return max(0, free)

    def _server_left(self) -> int:
        left = share_left(self._server.left, self.terms.lane, self.terms.lanes)
        return left - self._in_flight

    def _next_at(self, now: float) -> float:
        at = max(now, self._refusal.until)
        if self._server_left() < 1:
            at = max(at, self._server.until)
        missing = 1 + self._window.spent + self._in_flight - self._allowance
        # What is in flight counts for a window from its end, which is yet to come.
        return max(at, min(self._window.frees(missing, now), now + self._per_seconds))
