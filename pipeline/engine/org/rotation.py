"""Checking every prospect once in so many hours, some hundreds at a time, in a job that runs."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.reconciler import Reconciler
from pipeline.ledger.directory import drift
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.outreach.client import MOST_IDS
from transforms.outreach.requests.requester import Requester

_log = logging.getLogger(__name__)


class RotatingCheck:
    """One request after the other, spread over the hours of a round.

    Args:
      ledger: a connection.
      config: of the engine.
    """

    def __init__(self, ledger: sqlite3.Connection, config: EngineConfig) -> None:
        self._ledger = ledger
        self._config = config

    def due_at(self) -> float:
        """When the next request is due, in seconds since the epoch; infinity for never."""
        seconds = self._config.directory.check_seconds
        if not seconds:
            return math.inf
        now = self._config.clock()
        at = drift.progress(self._ledger)
        if at is None:
            with transaction(self._ledger):
                drift.note(self._ledger, 0, micros(now), {"checked": 0})
            return self.due_at()
        _, began_at, found = at
        if found.get("ended"):
            return began_at / 1e6 + seconds
        requests = max(1, math.ceil(drift.count(self._ledger) / MOST_IDS))
        done = int(str(found.get("requests", 0)))
        # The first part of a round is due a part's time after its begin: nothing is known sooner.
        return began_at / 1e6 + (done + 1) * seconds / (requests + 1)

    async def step(self, requester: Requester) -> None:
        """Checks the next prospects; at the end of a round, notes what it found.

        Raises:
          NotNow, CredentialError, ActivationError: as of `Reconciler.check`.
        """
        last, began_at, before = drift.progress(self._ledger) or (0, 0, {})
        if before.get("ended"):
            last, began_at, before = 0, micros(self._config.clock()), {}
        some = drift.prospects_after(self._ledger, last, MOST_IDS)
        reconciler = Reconciler(self._ledger, self._config)
        reconciler.resume(before)
        if some:
            await reconciler.check(requester, some)
        found = {**reconciler.as_json(), "requests": int(str(before.get("requests", 0))) + 1}
        ended = len(some) < MOST_IDS
        with transaction(self._ledger):
            if ended:
                whole = self._judged(found)
                drift.note(self._ledger, 0, began_at, {"ended": True}, whole)
            else:
                drift.note(self._ledger, some[-1], began_at, found)

    def _judged(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What a round found, and whether people are to be told."""
        same = sum(each["same"] for each in found["audiences"])
        different = sum(each["different"] for each in found["audiences"])
        percent = 100 * different / (same + different) if same + different else 0.0
        return {
            **found,
            "ended_at": micros(self._config.clock()),
            "percent": round(percent, 3),
            "alert": percent > self._config.directory.alert_percent,
        }
