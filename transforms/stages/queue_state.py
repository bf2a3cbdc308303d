"""A user's queue in the state of its key, in parts, so that a turn reads little of a long one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apache_beam.transforms.userstate import BagRuntimeState, ReadModifyWriteRuntimeState

from transforms.elements import Change, Patch
from transforms.outreach.send_queue import SendQueue

HEAD_PATCHES: Final = 4_000
"""Patches of a longer queue that are read in each turn: twenty turns of sending."""


@dataclass(frozen=True, slots=True)
class QueueCells:
    """The state of a key that holds its queue.

    Attributes:
      came: what came since the last turn, as it came.
      head: what is sent next, read and written again in each turn.
      tail: what came later, added to in a turn and read only when the head runs short.
      tail_length: patches in the tail.
    """

    came: BagRuntimeState
    head: BagRuntimeState
    tail: BagRuntimeState
    tail_length: ReadModifyWriteRuntimeState

    def drain(self) -> list[Patch]:
        """Takes out all that waits, in its order."""
        left = [*self.head.read(), *self.tail.read(), *self.came.read()]
        for cell in (self.head, self.tail, self.came, self.tail_length):
            cell.clear()
        return left


class QueueState:
    """What waits under a key, for one turn: read with the first call, written with `save`.

    No prospect is in the head and in the tail: what comes for one in the head is merged there, and
    all else is put behind the tail, as long as there is one. So whatever waits for a prospect is
    merged before it is sent, though the tail is not read to find it. A queue of up to
    `HEAD_PATCHES` has no tail.

    Args:
      cells: of the key.
      now: seconds since the epoch.
      wanted: prospects that the turn is to find ready, if so many wait.

    Attributes:
      queue: the head; the whole queue, where the head was short.
      superseded: changes that were made superfluous by what came.
      came: prospects that wait and did not after the last turn; in the tail some may count twice.
      wakes_at: when the next of those is due that wait for a time; None if none does.
    """

    def __init__(self, cells: QueueCells, now: float, wanted: int) -> None:
        self.queue = SendQueue()
        self.superseded: list[Change] = []
        self.came = 0
        self._cells = cells
        self._in_tail: int = cells.tail_length.read() or 0
        # Those that wait for a time come first, so that what was merged into them waits too.
        for patch in sorted(cells.head.read(), key=_waits_for_its_time):
            self.superseded += self.queue.add(patch)
        for patch in sorted(cells.came.read(), key=_waits_for_its_time):
            self._arrive(patch)
        cells.head.clear()
        cells.came.clear()
        self.wakes_at = self.queue.wake(now)
        if self._in_tail and self.queue.ready < wanted:
            for patch in list(cells.tail.read()):
                self.superseded += self.queue.add(patch)
            cells.tail.clear()
            self._in_tail = 0

    def __len__(self) -> int:
        """Prospects that wait; in the tail some may count twice."""
        return len(self.queue) + self._in_tail

    def save(self, user: str, granted: BagRuntimeState, count: int) -> None:
        """Writes back what waits, but for the first that are ready: those are granted.

        Args:
          user: whose queue it is.
          granted: gets the granted patches.
          count: how many.
        """
        # What waits for a time stays in the head, and so does all while there is a tail.
        ready = self.queue.ready
        begins = ready if self._in_tail else min(ready, count + HEAD_PATCHES)
        for place, patch in enumerate(self.queue.clear(user)):  # what is ready comes first
            if place < count:
                granted.add(patch)
            elif begins <= place < ready:
                self._put_behind(patch)
            else:
                self._cells.head.add(patch)
        self._cells.tail_length.write(self._in_tail)

    def _arrive(self, patch: Patch) -> None:
        if self._in_tail and patch.outreach_id not in self.queue:
            self._put_behind(patch)
            self.came += 1
            return
        before = len(self.queue)
        self.superseded += self.queue.add(patch)
        self.came += len(self.queue) - before

    def _put_behind(self, patch: Patch) -> None:
        self._cells.tail.add(patch)
        self._in_tail += 1


def _waits_for_its_time(patch: Patch) -> bool:
    return not patch.not_before
