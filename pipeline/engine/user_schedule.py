"""An account: what a loop knows of one Outreach user from one turn to the next."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import deque
from collections.abc import Callable

from pipeline.ledger import users
from pipeline.ledger.inbox import BACKFILL_SHARE, LIVE
from pipeline.ledger.queue import Turns, count_due, is_backlog, is_live_due
from pipeline.ledger.spends import Spends
from pipeline.ledger.store import transaction
from transforms.budget.budget import Budget
from transforms.budget.even_pace import EvenPace
from transforms.budget.grant import Grant
from transforms.clock import micros
from transforms.outreach.backoff import PAUSED_SECONDS
from transforms.outreach.client import MOST_IDS
from transforms.outreach.delivery import UserProgress
from transforms.outreach.read_before_write import READ_LEAST
from transforms.outreach.sender_pool import Access

_log = logging.getLogger(__name__)

ADVANCE_LEAST = 10
ADVANCE_MOST = 200
"""Requests debited at once, as many as a turn may need: if the process is killed, those of them
that were not sent are lost to the budget."""
BACKFILL_LOOK_SECONDS = 5.0
"""How often it is looked whether a backfill's part of the budget has come free."""
REST_SECONDS = 0.5
REST_MOST_SECONDS = 60.0
"""How long a user rests after turns that came to nothing: it doubles with each in a row."""


class WriteAheadGrant(Grant):
    """A grant that grows by some requests at a time while its budget lasts.

    Each time they are on the disk before the first of them is sent, so that a process that was
    killed spent no more than the next one knows of.

    Args:
      budget: from which it is granted.
      requests: that the turn will probably take.
      save: writes the budget down; is told the time.

    Attributes:
      trouble: why it could not be written down; then nothing more is granted.
    """

    def __init__(self, budget: Budget, requests: int, save: Callable[[float], None]) -> None:
        super().__init__(budget, 0)
        self._step = max(ADVANCE_LEAST, min(ADVANCE_MOST, requests))
        self._save = save
        self.trouble: sqlite3.OperationalError | None = None

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `Grant`."""
        granted, wait_seconds = super().take(wanted, now)
        if granted < wanted and self.trouble is None and self._grow(now):
            more, wait_seconds = super().take(wanted - granted, now)
            granted += more
        return granted, wait_seconds

    def _grow(self, now: float) -> bool:
        more, _ = self._budget.take(self._step, now)
        if not more:
            return False
        try:
            self._save(now)
        except sqlite3.OperationalError as trouble:
            self.trouble = trouble
            self._budget.give_back(more)
            return False
        self.give_back(more)
        return True


class UserSchedule:
    """One user's budget, and when its next turn is.

    Args:
      access: the user.
      ledger: a connection.
      now: seconds since the epoch.

    Attributes:
      problem: why the user is paused; None where it is not, as far as this process has tried.
    """

    def __init__(self, access: Access, ledger: sqlite3.Connection, now: float) -> None:
        self.access = access
        self.problem: str | None = None
        self._ledger = ledger
        self._budget = users.load_budget(ledger, access.name, access.budget, now)
        self._spends = Spends(access.name, now)
        self._rests_until = -math.inf
        self._barren = 0
        self._owed = 0.0
        self._window = float(access.budget.per_seconds)
        self._live_sent: deque[tuple[float, int]] = deque()
        self._pace = EvenPace(self._budget)
        self._live_left = 0

    @property
    def name(self) -> str:
        """The user's name."""
        return self.access.name

    @property
    def owed(self) -> int:
        """Prospects of the backfill that are to go in the next turn even if live ones wait."""
        return int(self._owed)

    def spare(self, now: float, live_share: float, least: int = 1) -> int:
        """How many prospects of a backfill may be sent now; its share is left to what is live.

        What live changes have spent of their share within the window need not be left any more:
        else a backfill would starve where they spend all that there is.

        Args:
          now: seconds since the epoch.
          live_share: part of the budget that is left.
          least: 0 is returned where it is less than that, unless it never can be as many.
        """
        while self._live_sent and self._live_sent[0][0] <= now - self._window:
            self._live_sent.popleft()
        share = math.ceil(live_share * self._budget.allowance)
        left = max(0, share - sum(count for _, count in self._live_sent))
        spare = max(0, self._budget.available(now) - left)
        if spare < least <= self._budget.allowance - share:
            return 0
        # So many are read before they are written, which costs requests too.
        return spare - -(-spare // MOST_IDS) if spare >= READ_LEAST else spare

    def next_backfill_at(self, now: float, live_share: float, least: int = 1) -> float:
        """When a backfill can go on: it is looked again where its part is spent."""
        look = min(BACKFILL_LOOK_SECONDS, self._window / 100)
        return now if self.spare(now, live_share, least) else now + look

    def has_live_work(self, now: int) -> bool:
        """Whether anything live is due that can be sent; `now` in microseconds."""
        return self.problem is None and is_live_due(self._ledger, self.name, now)

    def has_backlog(self, least: int, now: int) -> bool:
        """Whether so many prospects are due; `now` in microseconds."""
        return is_backlog(self._ledger, self.name, now, least)

    def affordable(self, now: float, least: int = 1) -> int:
        """How many requests may be made in a turn that begins now; 0 if fewer than `least`."""
        if now < self._rests_until:
            return 0
        available = self._budget.available(now)
        return available if available >= self._enough(least) else 0

    def turn(self, now: float, least: int = 1) -> int:
        """How many prospects may be sent now: as `affordable`, and evenly where that is due."""
        live = count_due(self._ledger, self.name, LIVE, micros(now), self._budget.allowance)
        self._pace.note(max(0, live - self._live_left), live, now)
        self._live_left = live
        affordable = self.affordable(now, least)
        allowed = min(affordable, self._pace.allowed(now, self._enough(least)))
        return allowed if allowed >= self._enough(least) else 0

    def next_turn_at(self, now: float, least: int = 1) -> float:
        """When the next `turn` is."""
        return max(self.next_at(now, least), self._pace.next_at(now, self._enough(least)))

    def next_at(self, now: float, least: int = 1) -> float:
        """When so many requests can be afforded again."""
        ready = self._budget.next_at(now)
        if ready <= now and self._budget.available(now) < self._enough(least):
            ready = now + REST_SECONDS  # More than the next request is waited for: look again.
        return max(ready, self._rests_until)

    def standing(self, now: float, resumes_at: float, waiting: int) -> UserProgress:
        """What this user waits for between two turns, for people.

        Args:
          now: seconds since the epoch.
          resumes_at: when the next turn is.
          waiting: prospects in the queue.
        """
        return UserProgress(
            user=self.name,
            waiting=waiting,
            troubled=0,
            in_flight=0,
            ended=0,
            requests=0,
            throttled=0,
            throttled_seconds=0.0,
            available=self._budget.available(now),
            allowance=self._budget.allowance,
            resumes_at=resumes_at,
            waits_for="budget" if self._rests_until <= now else "trouble",
            paused=None,
        )

    def grant(self, requests: int) -> WriteAheadGrant:
        """What a turn spends that will probably take so many requests."""

        def save(now: float) -> None:
            with transaction(self._ledger, durable=True):
                users.save_budget(self._ledger, self.name, self._budget)
                self._spends.note(self._ledger, self._budget, now)

        return WriteAheadGrant(self._budget, requests, save)

    def ended(self, turns: Turns, problem: str | None, now: float, *, barren: bool) -> None:
        """A turn is over.

        Args:
          turns: what it was to send.
          problem: why the user was paused, if it was.
          now: seconds since the epoch.
          barren: nothing came of it, and it could begin again just so.
        """
        self.problem = problem
        if live := len(turns.patches) - turns.backfill:
            self._live_sent.append((now, live))
            self._live_left = max(0, self._live_left - live)
        self._pace.spent(len(turns.patches), now)
        if self.owed and not turns.backfill:
            self._owed = 0.0  # None waits.
        else:
            due = self._owed + len(turns.patches) / BACKFILL_SHARE
            self._owed = max(0.0, due - turns.backfill)
        self._barren = self._barren + 1 if barren else 0
        if problem is not None:
            self._rests_until = now + PAUSED_SECONDS
        elif barren:
            rest = REST_SECONDS * 2.0 ** min(self._barren - 1, 16)
            self._rests_until = now + min(REST_MOST_SECONDS, rest)

    def save(self, now: int) -> None:
        """Writes down how the user stands, within a transaction; `now` in microseconds."""
        users.save_budget(self._ledger, self.name, self._budget)
        self._spends.note(self._ledger, self._budget, now / 1e6)
        users.set_paused(self._ledger, self.name, self.problem, now)

    def _enough(self, least: int) -> int:
        # A refused patch can take several requests to narrow down. A turn that could not afford
        # them is repeated from the start, and must be able to afford more.
        allowance = self._budget.allowance
        return min(max(least if least <= allowance else 1, 2**self._barren), allowance)
