"""A virtual clock: one user's changes from their arrival to the answers of a made-up Outreach.

What happens is kept in the order of its time, and time jumps from one to the next.
"""

from __future__ import annotations

import heapq
import math
import random
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from benchmarks.scale.freshness import Freshness
from benchmarks.scale.policies import Limiter, Policy, Waiting
from benchmarks.scale.traffic import Arrival
from transforms.budget.rate_limits import RateLimits
from transforms.budget.shards import lane_of
from transforms.budget.terms import BudgetTerms
from transforms.elements import Change, Patch
from transforms.fold import Known
from transforms.outreach.send_queue import Work
from transforms.stages.coalesce_stateful import release


@dataclass(frozen=True, slots=True)
class Outreach:
    """How the made-up Outreach answers: within its limit, after a time between two.

    Attributes:
      limit: requests that it accepts in any window.
      per_seconds: the window's length.
      seconds: of an answer, the least and the most.
      in_flight: requests of the user at once, in all lanes.
    """

    limit: int = 10_000
    per_seconds: float = 3600.0
    seconds: tuple[float, float] = (0.1, 0.3)
    in_flight: int = 16


class Server:
    """Counts the requests of each window, as they arrive.

    Attributes:
      arrivals: when each came.
      most_in_a_window: of them.
    """

    def __init__(self, outreach: Outreach) -> None:
        self._outreach = outreach
        self._spends: deque[float] = deque()
        self.arrivals = array("d")
        self.most_in_a_window = 0

    def arrive(self, now: float) -> RateLimits:
        """A request arrives; what its answer says.

        Raises:
          RuntimeError: the limit is exceeded; nobody else spends, so it never may be.
        """
        outreach, spends = self._outreach, self._spends
        while spends and spends[0] <= now - outreach.per_seconds:
            spends.popleft()
        spends.append(now)
        self.arrivals.append(now)
        self.most_in_a_window = max(self.most_in_a_window, len(spends))
        left = outreach.limit - len(spends)
        if left < 0:
            raise RuntimeError(f"more than {outreach.limit} requests in a window, at {now} s")
        return RateLimits(outreach.limit, left, math.ceil(spends[0] + outreach.per_seconds))


@dataclass(slots=True, eq=False)
class Lane:
    """A queue, what lets its requests go, and how many of them are in flight."""

    waiting: Waiting
    limiter: Limiter
    most_in_flight: int
    in_flight: int = 0
    wakes_at: float = math.inf


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to.

    Attributes:
      changes: that arrived.
      requests: that were sent.
      drain_seconds: from the last arrival of a change to the last answer.
      most_in_a_window: requests that the server saw.
      seconds: see `Freshness`, sorted.
    """

    changes: int
    requests: int
    drain_seconds: float
    most_in_a_window: int
    seconds: Sequence[float]

    def fresh(self, part: float) -> float:
        """Within how many seconds this part of all changes was fresh."""
        return self.seconds[max(0, math.ceil(part * len(self.seconds)) - 1)]


class Run:
    """One user's changes, delivered by a policy.

    Args:
      policy: how.
      terms: of the user's budget.
      outreach: see `Outreach`.
      seed: of how long answers take.

    Attributes:
      server: that counts the requests.
    """

    def __init__(self, policy: Policy, terms: BudgetTerms, outreach: Outreach, seed: int) -> None:
        self._policy = policy
        self._outreach = outreach
        self.server = Server(outreach)
        self._source = random.Random(f"answers {seed}")
        self._lanes = [
            Lane(
                policy.waiting(),
                policy.limiter(replace(terms, lane=lane, lanes=policy.lanes)),
                outreach.in_flight // policy.lanes,
            )
            for lane in range(policy.lanes)
        ]
        self._held: dict[int, list[Change]] = {}
        self._known: dict[int, dict[str, Known]] = {}
        self._freshness = Freshness()
        self._agenda: list[tuple[float, int, object]] = []
        self._ticket = count()

    def deliver(self, arrivals: Sequence[Arrival]) -> Ran:
        """Delivers all there is, and says how that went.

        Raises:
          RuntimeError: a change became fresh never or twice, or the limit was exceeded.
        """
        changes, now = 0, 0.0
        coming = iter(arrivals)
        following = next(coming, None)
        while following is not None or self._agenda:
            if following is not None and (not self._agenda or following.at <= self._agenda[0][0]):
                now = following.at
                changes += len(following.changes)
                self._arrive(following.changes, now)
                following = next(coming, None)
            else:
                now, _, what = heapq.heappop(self._agenda)
                self._happen(what, now)
        seconds = sorted(self._freshness.seconds)
        if len(seconds) != changes or self._freshness.open:
            raise RuntimeError(f"of {changes} changes, {len(seconds)} became fresh")
        server = self.server
        drained = max(0.0, now - arrivals[-1].at)
        return Ran(changes, len(server.arrivals), drained, server.most_in_a_window, seconds)

    def _arrive(self, changes: list[Change], now: float) -> None:
        for change in changes:
            self._freshness.came(change, now)
        prospect = changes[0].outreach_id
        if self._policy.hold_seconds is None:
            self._queue(prospect, changes, now)
        elif prospect in self._held:
            self._held[prospect] += changes
        else:
            self._held[prospect] = list(changes)
            self._later(now + self._policy.hold_seconds, prospect)

    def _happen(self, what: object, now: float) -> None:
        match what:
            case int(prospect):
                self._release(prospect, now)
            case Lane() as lane:
                if now >= lane.wakes_at:
                    lane.wakes_at = math.inf
                    self._send(lane, now)
            case (Lane() as lane, Work() as work, RateLimits() as limits, int(answers)):
                lane.in_flight -= 1
                lane.limiter.learn(limits, now, answers_when_sent=answers)
                self._freshness.delivered(work.changes, now)
                lane.waiting.done(work)
                self._send(lane, now)

    def _release(self, prospect: int, now: float) -> None:
        due = release(self._held.pop(prospect), self._known.setdefault(prospect, {}))
        for change in due.unchanged:
            self._freshness.unchanged(change)
        if due.changes:
            self._queue(prospect, due.changes, now)

    def _queue(self, prospect: int, changes: list[Change], now: float) -> None:
        self._freshness.due(changes)
        lane = self._lanes[lane_of(prospect, self._policy.lanes)]
        before = lane.waiting.ready
        lane.waiting.add(Patch(prospect, "ops", changes))
        lane.limiter.note(lane.waiting.ready - before, lane.waiting.ready, now)
        self._send(lane, now)

    def _send(self, lane: Lane, now: float) -> None:
        """Sends what may be sent now, as a sender does; else looks again when told to."""
        while lane.waiting.ready and lane.in_flight < lane.most_in_flight:
            if lane.in_flight and lane.limiter.needs_probe(now):
                return  # It goes alone, and its answer comes here.
            granted, wait_seconds = lane.limiter.take(1, now)
            if not granted:
                wakes_at = max(now + wait_seconds, math.nextafter(now, math.inf))
                if wakes_at < lane.wakes_at:
                    lane.wakes_at = wakes_at
                    self._later(wakes_at, lane)
                return
            lane.in_flight += 1
            limits = self.server.arrive(now)
            answered_at = now + self._source.uniform(*self._outreach.seconds)
            sent = (lane, lane.waiting.take(), limits, lane.limiter.answers)
            self._later(answered_at, sent)

    def _later(self, at: float, what: object) -> None:
        heapq.heappush(self._agenda, (at, next(self._ticket), what))
