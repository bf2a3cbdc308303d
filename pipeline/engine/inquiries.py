"""Requests that are no patches: in the name of whichever user can afford them best."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pipeline.engine.user_schedule import UserSchedule
from pipeline.ledger import history
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.outreach.requests.requester import NotNow, Requester
from transforms.outreach.sender_pool import SenderPool

_Result = TypeVar("_Result")


class Inquiries:
    """Asks Outreach within the users' budgets, which the ledger keeps.

    Args:
      ledger: a connection, used by one thread at a time.
      pool: with the connections to Outreach.
      schedules: the users.
      clock: seconds since the epoch.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        pool: SenderPool,
        schedules: Sequence[UserSchedule],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._schedules = schedules
        self._clock = clock

    def run(self, requests: int, work: Callable[[Requester], Awaitable[_Result]]) -> _Result:
        """Has requests made, one after the other.

        A user who may not read is not paused by that: it may write.

        Args:
          requests: that the work will take, about; they are debited a few at a time.
          work: makes them; what it raises is raised.

        Raises:
          NotNow: no user can ask at present.
          CredentialError: none can before a person mends something.
        """
        now = self._clock()
        able = [
            (each.affordable(now), each)
            for each in self._schedules
            if self._pool.held_until(each.name) <= now
        ]
        most, schedule = max(able, key=lambda pair: pair[0], default=(0, None))
        if schedule is None or not most:
            raise NotNow("budget")
        return self.run_as(schedule, requests, work)

    def run_as(
        self,
        schedule: UserSchedule,
        requests: int,
        work: Callable[[Requester], Awaitable[_Result]],
    ) -> _Result:
        """As `run`, in one user's name."""
        now = self._clock()
        if not schedule.affordable(now) or self._pool.held_until(schedule.name) > now:
            raise NotNow("budget")
        grant = schedule.grant(requests)
        try:
            return self._pool.ask(schedule.access, grant, work)
        finally:
            grant.close()
            with transaction(self._ledger, durable=True):
                schedule.save(micros(self._clock()))
                history.add_totals(self._ledger, self._pool.asked)

    def next_at(self) -> float:
        """When a user can ask again, in seconds since the epoch."""
        return min(map(self.next_at_of, self._schedules))

    def next_at_of(self, schedule: UserSchedule) -> float:
        """When one user can ask again, in seconds since the epoch."""
        return max(schedule.next_at(self._clock()), self._pool.held_until(schedule.name))
