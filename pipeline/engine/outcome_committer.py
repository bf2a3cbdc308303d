"""A turn: one run of delivery, whose outcomes are committed while it is under way."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.engine.user_schedule import UserSchedule
from pipeline.ledger import history, queue
from pipeline.ledger.directory import entries
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.elements import Outcome
from transforms.outreach.delivery import UserProgress
from transforms.outreach.sender_pool import Watch
from transforms.stages.patch import Kept

_log = logging.getLogger(__name__)

COMMIT_OUTCOMES = 200
"""Outcomes committed at once, at most; about so many PATCHes a killed process leaves in doubt."""
COMMIT_SECONDS = 0.25


class OutcomeCommitter:
    """Takes what a run of delivery brings, and commits it a few at a time.

    Where the disk refuses, what came is kept, the senders are asked to drain, and `settle` is to
    be called until it succeeds: only then may anything else be done with the ledger.

    Args:
      ledger: a connection, of whichever thread the run uses.
      accounts: of the users whose turn it is.
      clock: seconds since the epoch.
      watch: the job's own.
      committed: is called after each commit.
      revise: is given outcomes within the transaction that records them, and returns those to be
        recorded.

    Attributes:
      kept: what was left undone.
      outcomes: how many came, by user.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        accounts: Sequence[UserSchedule],
        clock: Callable[[], float],
        watch: Watch | None,
        committed: Callable[[], None],
        revise: Callable[[Sequence[Outcome]], Sequence[Outcome]] = lambda outcomes: outcomes,
    ) -> None:
        self._ledger = ledger
        self._schedules = accounts
        self._clock = clock
        self._watch = watch
        self._committed = committed
        self._revise = revise
        self._pending: list[Outcome] = []
        self._committed_at = clock()
        self._trouble: sqlite3.OperationalError | None = None
        self._totals: Mapping[str, int] = {}
        self.kept: list[Kept] = []
        self.outcomes: Counter[str | None] = Counter()

    def put(self, kind: str, result: Any) -> None:  # noqa: ANN401 - what the kind says
        """Takes a result of the run: a ``kept``, or an ``outcome``."""
        if kind == "kept":
            self.kept.append(result)
            return
        self._pending.append(result)
        self.outcomes[result.user] += 1
        if len(self._pending) >= COMMIT_OUTCOMES:
            self._commit()

    def watch(self, standings: Sequence[UserProgress]) -> bool:
        """Commits what has waited long enough, and asks the job whether to drain."""
        if self._clock() - self._committed_at >= COMMIT_SECONDS:
            self._commit()
        asked = self._watch is not None and self._watch(standings)
        return asked or self._trouble is not None

    def end(self, totals: Mapping[str, int]) -> None:
        """The run is over, and this is what it counted."""
        self._totals = totals

    def settle(self) -> None:
        """Commits all that is not, and how the users stand.

        Raises:
          sqlite3.OperationalError: the disk refuses; nothing is lost yet.
        """
        now = micros(self._clock())
        with transaction(self._ledger, durable=True):
            self._record()
            history.add_totals(self._ledger, self._totals)
            for kept in self.kept:
                queue.postpone(self._ledger, kept.patches)
            for schedule in self._schedules:
                schedule.save(now)
        self._pending = []
        self._totals = {}
        self._committed()

    def _record(self) -> None:
        outcomes = self._revise(self._pending)
        history.settle_sent(self._ledger, outcomes)
        entries.correct(self._ledger, outcomes)

    def _commit(self) -> None:
        self._committed_at = self._clock()
        if not self._pending or self._trouble is not None:
            return
        try:
            with transaction(self._ledger, durable=True):
                self._record()
        except sqlite3.OperationalError as trouble:
            _log.error(
                "outcomes cannot be written down: %s; no more is sent until they are", trouble
            )
            self._trouble = trouble
            return
        self._pending = []
        self._committed()
