"""Alerts: one message for each condition that needs a person, and one when it is over."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from pipeline.console.formatting import duration
from pipeline.ledger.oversight.alerts import (
    Telling,
    drop_untold,
    note_found,
    note_over,
    note_told,
    open_keys,
    to_tell,
)
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import transaction
from pipeline.monitoring.alert_rules import QUIET_SECONDS, conditions
from pipeline.monitoring.webhook import Webhook
from transforms.clock import micros

CHECK_SECONDS = 5.0
LOAD = 50
"""A look is so many times shorter than the pause after it, however long it took."""
RETRY_SECONDS = 60.0
"""After a message that did not arrive."""
_log = logging.getLogger(__name__)

_Key = tuple[str, str, bool]
"""Kind and subject of an alert, and whether the message is of its end."""


@dataclass(slots=True)
class Alerts:
    """Looks at a ledger now and then, and tells the log and a webhook what has changed.

    What was told is in the ledger, so that a restart does not repeat it.

    Attributes:
      connection: to the ledger, of the thread that calls `check`.
      ledger: its path, for the commands in messages.
      name: of the destination, to begin messages with.
      webhook: None for the log alone.
      clock: seconds since the epoch.
    """

    connection: sqlite3.Connection
    ledger: str
    name: str
    webhook: Webhook | None
    clock: Callable[[], float]
    _next_at: float = 0.0
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)
    _under_way: dict[_Key, Telling] = field(default_factory=dict)
    _not_before: float = 0.0

    def check(self) -> None:
        """Looks, if it is time to; never waits for the webhook."""
        now = self.clock()
        if now < self._next_at:
            return
        self._note_ended(now)
        self._look(now)
        self._tell(now)
        took = self.clock() - now
        self._next_at = now + took + max(CHECK_SECONDS, LOAD * took)

    def _look(self, now: float) -> None:
        found = conditions(read_snapshot(self.connection, now), self.ledger)
        known = open_keys(self.connection)
        self._seen = {key: self._seen.get(key, now) for key in known}
        self._seen.update((each.key, now) for each in found)
        over = {
            key
            for key in known - {each.key for each in found}
            if now - self._seen[key] >= QUIET_SECONDS.get(key[0], 0.0)
        }
        new = [each for each in found if each.key not in known]
        if not new and not over:
            return
        with transaction(self.connection):
            note_found(self.connection, new, micros(now))
            note_over(self.connection, over, micros(now))
            untold = [key for key in over if (*key, False) not in self._under_way]
            drop_untold(self.connection, untold)
        for each in new:
            _log.warning("alert: %s", each.text)
        for kind, subject in sorted(over):
            _log.warning("alert is over: %s", " ".join(filter(None, (kind, subject))))

    def _tell(self, now: float) -> None:
        if now < self._not_before:
            return
        for telling in to_tell(self.connection):
            key = (*telling.condition.key, telling.over_at is not None)
            if self.webhook is None:
                with transaction(self.connection):
                    note_told(self.connection, telling, micros(now))
            elif not self._under_way.keys() & {key, (*telling.condition.key, False)}:
                self._under_way[key] = telling
                self.webhook.post(key, f"{self.name}: {_put(telling)}")

    def _note_ended(self, now: float) -> None:
        for key, arrived in self.webhook.ended() if self.webhook is not None else ():
            telling = self._under_way.pop(cast("_Key", key))
            with transaction(self.connection):
                if arrived:
                    note_told(self.connection, telling, micros(now))
                else:
                    self._not_before = now + RETRY_SECONDS
                    drop_untold(self.connection, [telling.condition.key])


def _put(telling: Telling) -> str:
    text = telling.condition.text
    if telling.over_at is None:
        return text
    return f"over after {duration((telling.over_at - telling.since) / 1e6)}: {text}"
