"""When changes are fresh: when their fields hold their values, or newer ones."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable

from transforms.elements import Change


class Freshness:
    """How long each change took until its field held its value, or a newer one.

    Attributes:
      seconds: of each change of which that is known.
    """

    def __init__(self) -> None:
        self.seconds = array("d")
        # By field of a prospect, the oldest first: (number of the change, since when).
        self._open: dict[tuple[int, str], deque[tuple[int, float]]] = {}
        self._given: dict[tuple[int, str], tuple[int, float]] = {}
        self._due: dict[tuple[int, str], int] = {}

    @property
    def open(self) -> int:
        """Changes that no field holds yet."""
        return sum(map(len, self._open.values()))

    def came(self, change: Change, at: float) -> None:
        """A change arrived."""
        where = (change.outreach_id, change.field)
        self._open.setdefault(where, deque()).append((change.sequence, at))

    def due(self, changes: Iterable[Change]) -> None:
        """Changes are to be sent."""
        for change in changes:
            self._due[change.outreach_id, change.field] = change.sequence

    def unchanged(self, change: Change) -> None:
        """A change says what the last one that was due said: it is as fresh as that.

        So is what it overtook on its way.
        """
        where = (change.outreach_id, change.field)
        like = self._due[where]
        given, given_at = self._given.get(where, (-1, 0.0))
        waiting = self._open[where]
        later = [waiting.pop() for _ in range(len(waiting)) if waiting[-1][0] > like]
        for number, since in reversed(later):
            if number > change.sequence:
                waiting.append((number, since))
            elif given < like:
                waiting.append((like, since))
            else:
                self.seconds.append(max(0.0, given_at - since))

    def delivered(self, changes: Iterable[Change], now: float) -> None:
        """Fields hold these changes' values, and no longer what was older."""
        for change in changes:
            where = (change.outreach_id, change.field)
            self._given[where] = (change.sequence, now)
            waiting = self._open[where]
            while waiting and waiting[0][0] <= change.sequence:
                self.seconds.append(now - waiting.popleft()[1])
