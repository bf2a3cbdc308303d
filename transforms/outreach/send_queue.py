"""What waits for one Outreach user: one entry a prospect, merged while it waits.

No clock and no I/O; times are seconds since the epoch, told by the caller.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from transforms.clock import micros
from transforms.elements import Change, Patch
from transforms.fold import Held, gather, settle, slot


@dataclass(slots=True, eq=False)
class Work:
    """One prospect's changes on their way, and what was met so far.

    Attributes:
      outreach_id: the prospect.
      changes: what the next request carries.
      rest: what further requests carry, where a refusal had to be narrowed down.
      attempts: troubles met, one after the other.
      troubled_since: when the first of them was met.
      not_before: when it may be tried again.
      read: whether it need not be read before it is sent, mostly because it was.
      asked: whether it is known what its fields hold that are written only if they are empty.
    """

    outreach_id: int
    changes: list[Change]
    rest: list[list[Change]] = field(default_factory=list)
    attempts: int = 0
    troubled_since: float | None = None
    not_before: float = 0.0
    read: bool = False
    asked: bool = False

    def all_changes(self) -> list[Change]:
        """What is still undecided."""
        return self.changes + [change for part in self.rest for change in part]


class SendQueue:
    """Waiting work in the order of arrival; what met trouble waits apart for its time.

    Never longer than there are distinct prospects: what comes for one that waits is merged
    into what waits, and what comes for one in flight waits until that is answered, unless
    what is in flight is newer.

    Args:
      if_empty: fields that are written only where they hold nothing.

    Attributes:
      ended: prospects of which all was decided.
    """

    def __init__(self, if_empty: frozenset[str] = frozenset()) -> None:
        self.if_empty = if_empty
        self._ready: deque[Work] = deque()
        self._delayed: list[tuple[float, int, Work]] = []
        self._waiting: dict[int, Work] = {}
        self._in_flight: dict[int, Work] = {}
        self._behind: dict[int, Work] = {}
        self._ticket = itertools.count()
        self.ended = 0

    def __len__(self) -> int:
        """Prospects with work that waits; those in flight are not counted."""
        return len(self._waiting) + len(self._behind)

    def __contains__(self, outreach_id: int) -> bool:
        """Whether a prospect has work that waits; what is in flight is not counted."""
        return outreach_id in self._waiting or outreach_id in self._behind

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
        """Puts a patch in the queue; returns the changes that this made superfluous.

        What it met before counts on. Of several patches for one prospect, the first decides
        when that is tried again.
        """
        lost: list[Change] = []
        added = Work(patch.outreach_id, list(patch.changes), attempts=patch.attempts)
        if patch.troubled_since is not None:
            added.troubled_since = patch.troubled_since / 1_000_000
        place = self._waiting
        flying = self._in_flight.get(patch.outreach_id)
        if flying is not None:
            place = self._behind
            # What is older than a value on its way must not be sent after it.
            added.changes, lost = _newer(patch.changes, flying.all_changes())
            if not added.changes:
                return lost
        work = place.get(patch.outreach_id)
        if work is not None:
            return lost + _merge(work, added)
        place[patch.outreach_id] = added
        if place is self._waiting:
            self._put(added, patch.not_before / 1_000_000)
        return lost

    def take(self) -> Work:
        """The work that waited longest, from now on in flight."""
        return self._depart(self._ready.popleft())

    @property
    def must_read(self) -> bool:
        """Whether the next is to be read before it may be sent."""
        return bool(self.if_empty and self._ready and self.is_conditional(self._ready[0]))

    def take_conditional(self, most: int) -> list[Work]:
        """Takes those of the next `most` that are to be read first; they are then in flight."""
        head = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        asked = [work for work in head if self.is_conditional(work)]
        self._ready.extendleft(reversed([work for work in head if not self.is_conditional(work)]))
        for work in asked:
            self._depart(work)
        return asked

    def unread(self, most: int) -> int:
        """How many of the next `most` were not read yet; none if the next of all was."""
        if not self._ready or self._ready[0].read:
            return 0
        return sum(not work.read for work in itertools.islice(self._ready, most))

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
        self.ended += 1
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
        self._put(work, until)
        return lost

    def recall(self) -> list[Change]:
        """All in flight goes to the head of the queue; returns what that made superfluous."""
        return [change for work in list(self._in_flight.values()) for change in self.again(work)]

    def wake(self, now: float) -> float | None:
        """Readies what has waited long enough; returns when the next of the others is due."""
        while self._delayed and self._delayed[0][0] <= now:
            work = heapq.heappop(self._delayed)[2]
            work.not_before = 0.0
            self._ready.appendleft(work)
        return self._delayed[0][0] if self._delayed else None

    def clear(self, user: str, not_before: float = 0.0) -> list[Patch]:
        """Takes out all that waits, with what it met: first what was ready, in its order.

        Args:
          user: whose queue this is.
          not_before: when the first of it may be sent.
        """
        delayed = [work for _, _, work in sorted(self._delayed)]
        left = [*self._ready, *delayed, *self._behind.values()]
        for place in (self._ready, self._delayed, self._waiting, self._behind):
            place.clear()
        return [_as_patch(work, user, max(work.not_before, not_before)) for work in left]

    def is_conditional(self, work: Work) -> bool:
        """Whether it is to be read before it may be sent."""
        return not work.asked and any(
            change.field in self.if_empty for change in work.all_changes()
        )

    def _put(self, work: Work, not_before: float) -> None:
        work.not_before = not_before
        if not_before:
            heapq.heappush(self._delayed, (not_before, next(self._ticket), work))
        else:
            self._ready.append(work)

    def _depart(self, work: Work) -> Work:
        del self._waiting[work.outreach_id]
        self._in_flight[work.outreach_id] = work
        return work

    def _return(self, work: Work) -> list[Change]:
        del self._in_flight[work.outreach_id]
        self._waiting[work.outreach_id] = work
        behind = self._behind.pop(work.outreach_id, None)
        return _merge(work, behind) if behind is not None else []


def _merge(work: Work, other: Work) -> list[Change]:
    held: dict[int, Held] = {}
    lost = gather(held, work.all_changes() + other.changes)
    winners, behind = settle(held[work.outreach_id])
    work.changes, work.rest, work.read, work.asked = winners, [], False, False
    work.attempts = max(work.attempts, other.attempts)
    troubled = [at for at in (work.troubled_since, other.troubled_since) if at is not None]
    work.troubled_since = min(troubled, default=None)
    return lost + behind


def _newer(
    changes: Sequence[Change], others: Sequence[Change]
) -> tuple[list[Change], list[Change]]:
    """Of changes, those that none of the others wins over, and the rest."""
    by_field = {other.field: other for other in others}
    newer: list[Change] = []
    older: list[Change] = []
    for change in changes:
        other = by_field.get(change.field)
        held: Held = {} if other is None else {slot(other): other}
        lost = gather({change.outreach_id: held}, [change])
        _, behind = settle(held)
        (older if change in lost + behind else newer).append(change)
    return newer, older


def _as_patch(work: Work, user: str, not_before: float) -> Patch:
    since = None if work.troubled_since is None else micros(work.troubled_since)
    changes = work.all_changes()
    return Patch(work.outreach_id, user, changes, work.attempts, since, micros(not_before))
