"""What waits for one Outreach user: one entry a prospect, merged while it waits.

No clock and no I/O; times are seconds since the epoch, told by the caller.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transforms.elements import Change, Patch
from transforms.fold import gather, settle


@dataclass(slots=True, eq=False)
class Work:
    """One prospect's changes on their way, and what was met so far.

    Attributes:
      outreach_id: the prospect.
      changes: what the next request carries.
      rest: what further requests carry, where a refusal had to be narrowed down.
      attempts: troubles met, one after the other.
      troubled_since: when the first of them was met.
      read: whether it need not be read before it is sent, mostly because it was.
    """

    outreach_id: int
    changes: list[Change]
    rest: list[list[Change]] = field(default_factory=list)
    attempts: int = 0
    troubled_since: float | None = None
    read: bool = False

    def all_changes(self) -> list[Change]:
        """What is still undecided."""
        return self.changes + [change for part in self.rest for change in part]


class Queue:
    """Waiting work in the order of arrival; what met trouble waits apart for its time.

    Never longer than there are distinct prospects: what comes for one that waits is merged
    into what waits, and what comes for one in flight waits until that is answered.
    """

    def __init__(self) -> None:
        self._ready: deque[Work] = deque()
        self._delayed: list[tuple[float, int, Work]] = []
        self._waiting: dict[int, Work] = {}
        self._in_flight: dict[int, Work] = {}
        self._behind: dict[int, Work] = {}
        self._ticket = 0

    def __len__(self) -> int:
        """Prospects with work that waits; those in flight are not counted."""
        return len(self._waiting) + len(self._behind)

    @property
    def in_flight(self) -> int:
        """Prospects with a request that is not answered."""
        return len(self._in_flight)

    @property
    def ready(self) -> int:
        """How many may be taken now."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """How many met trouble and wait for their time."""
        return len(self._delayed)

    def add(self, patch: Patch) -> list[Change]:
        """Puts a patch in the queue; returns the changes that this made superfluous."""
        place = self._behind if patch.outreach_id in self._in_flight else self._waiting
        work = place.get(patch.outreach_id)
        if work is None:
            work = Work(patch.outreach_id, list(patch.changes))
            place[patch.outreach_id] = work
            if place is self._waiting:
                self._ready.append(work)
            return []
        return _merge(work, patch.changes)

    def take(self) -> Work:
        """The work that waited longest, from now on in flight."""
        return self._depart(self._ready.popleft())

    def next_is_unread(self) -> bool:
        """Whether the next to be taken was not read yet."""
        return bool(self._ready) and not self._ready[0].read

    def take_unread(self, most: int) -> list[Work]:
        """The unread among the next `most`, from now on in flight and counted as read."""
        head = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        unread = [work for work in head if not work.read]
        self._ready.extendleft(reversed([work for work in head if work.read]))
        for work in unread:
            work.read = True
            self._depart(work)
        return unread

    def leave_unread(self, most: int) -> None:
        """Counts the next `most` as read: they are sent as they are."""
        for work in itertools.islice(self._ready, most):
            work.read = True

    def done(self, work: Work) -> None:
        """All of a work in flight has its outcome."""
        del self._in_flight[work.outreach_id]
        behind = self._behind.pop(work.outreach_id, None)
        if behind is not None:
            self._waiting[behind.outreach_id] = behind
            self._ready.append(behind)

    def again(self, work: Work) -> list[Change]:
        """A work in flight goes to the head of the queue; returns what that made superfluous."""
        lost = self._return(work)
        self._ready.appendleft(work)
        return lost

    def later(self, work: Work, until: float) -> list[Change]:
        """A work in flight waits until a time; returns what that made superfluous."""
        lost = self._return(work)
        self._ticket += 1
        heapq.heappush(self._delayed, (until, self._ticket, work))
        return lost

    def wake(self, now: float) -> float | None:
        """Readies what has waited long enough; returns when the next of the others is due."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._delayed)[2])
        return self._delayed[0][0] if self._delayed else None

    def clear(self) -> Iterator[Work]:
        """Takes out all that waits."""
        left = [*self._waiting.values(), *self._behind.values()]
        for place in (self._ready, self._delayed, self._waiting, self._behind):
            place.clear()
        yield from left

    def _depart(self, work: Work) -> Work:
        del self._waiting[work.outreach_id]
        self._in_flight[work.outreach_id] = work
        return work

    def _return(self, work: Work) -> list[Change]:
        del self._in_flight[work.outreach_id]
        self._waiting[work.outreach_id] = work
        behind = self._behind.pop(work.outreach_id, None)
        return _merge(work, behind.changes) if behind is not None else []


def _merge(work: Work, changes: Sequence[Change]) -> list[Change]:
    held: dict[int, dict[str, Change]] = {}
    lost = gather(held, work.all_changes())
    lost += gather(held, changes)
    winners, behind = settle(held[work.outreach_id])
    work.changes, work.rest, work.read = winners, [], False
    return lost + behind
