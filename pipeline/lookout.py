"""What an always-on job does between two turns of its loop: it looks after people and disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.destination.file import Destination
from pipeline.ledger.guard import GuardTerms, end_waves
from pipeline.ledger.store import transaction
from pipeline.ledger.upkeep import shrink
from pipeline.monitoring.alerts import Alerts
from pipeline.monitoring.health import Health
from pipeline.monitoring.webhook import Webhook
from transforms.clock import micros

UPKEEP_SECONDS = 60.0
"""How often released audiences and the size of the file are looked after."""


@dataclass(slots=True)
class Lookout:
    """Tells people what needs one, ends releases, and gives disk back.

    Attributes:
      connection: to the ledger, of the thread that calls `look`.
      guard: when audiences are held.
      alerts: who is told.
      health: is told that the loop came round.
      clock: seconds since the epoch.
    """

    connection: sqlite3.Connection
    guard: GuardTerms
    alerts: Alerts
    health: Health
    clock: Callable[[], float]
    _kept_up_at: float = 0.0

    @classmethod
    def over(
        cls,
        connection: sqlite3.Connection,
        ledger: str,
        destination: Destination,
        guard: GuardTerms,
        health: Health,
    ) -> Lookout:
        """A lookout over a ledger, that tells whom a destination says."""
        url = destination.alerts.webhook
        webhook = None if url is None else Webhook(url)
        path = str(Path(ledger).absolute())  # Whoever reads a message stands elsewhere.
        alerts = Alerts(connection, path, destination.name, webhook, health.clock)
        return cls(connection, guard, alerts, health, health.clock)

    def look(self) -> None:
        """To be called whenever the loop comes round with everything committed."""
        now = self.clock()
        self.health.turned()
        if now - self._kept_up_at >= UPKEEP_SECONDS:
            with transaction(self.connection):
                end_waves(self.connection, self.guard, micros(now))
            if not shrink(self.connection):
                self._kept_up_at = now
        self.alerts.check()
