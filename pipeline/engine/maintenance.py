"""Keeping a ledger small: what is too old goes, some of it at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.destination.file import Destination
from pipeline.destination.stage_config import DAY_SECONDS
from pipeline.ledger import history
from pipeline.ledger.guard import GuardTerms, end_waves
from pipeline.ledger.store import shrink, transaction
from pipeline.monitoring.alerts import Alerts
from pipeline.monitoring.health import Health
from pipeline.monitoring.webhook import Webhook
from transforms.clock import micros

PRUNE_SECONDS = 600.0
"""How often a job that does not end looks for what is old."""
TIDY_SECONDS = 10.0
"""What a job that ends may take for it at least, however short it was."""


@dataclass(slots=True)
class Pruning:
    """Keeps a ledger small.

    Attributes:
      ledger: a connection.
      destination: how long what is kept.
      targets: outputs that get all of it before it goes.
      clock: seconds since the epoch.
    """

    ledger: sqlite3.Connection
    destination: Destination
    targets: Sequence[str]
    clock: Callable[[], float]
    _pruned_at: float = 0.0

    def look_after(self) -> None:
        """Prunes now and then; for a job that comes round again."""
        now = self.clock()
        if now - self._pruned_at < PRUNE_SECONDS:
            return
        if not self._prune(now):  # Else more is to go, and the next round goes on.
            self._pruned_at = now

    def tidy(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Prunes, and gives disk back; for a job that has ended.

        Args:
          seconds: how long that job took. A change is removed sooner than it is delivered, so
            that as long is enough for as much to go as came.
          stopped: whether somebody is waiting for the end; the rest is left to the next one.
        """
        ends = time.monotonic() + max(TIDY_SECONDS, seconds)

        def goes_on() -> bool:
            return not stopped() and time.monotonic() < ends

        while goes_on() and self._prune(self.clock()):
            pass
        while goes_on() and shrink(self.ledger):
            pass

    def _prune(self, now: float) -> int:
        delivery = self.destination.delivery
        return history.prune(
            self.ledger,
            micros(now - delivery.keep_days * DAY_SECONDS),
            micros(now - delivery.remember_days * DAY_SECONDS),
            self.targets,
        )


UPKEEP_SECONDS = 60.0
"""How often released audiences and the size of the file are looked after."""


@dataclass(slots=True)
class Maintenance:
    """Tells people what needs one, ends releases, and gives disk back.

    Attributes:
      connection: to the ledger, of the thread that calls `look`.
      guard: when audiences are held.
      alerts: sends messages to people.
      health: records that the loop came round.
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
    ) -> Maintenance:
        """The maintenance of a ledger, with alerts to the destination's webhook."""
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
