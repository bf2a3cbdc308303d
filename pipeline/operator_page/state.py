"""What the page shows, read from a ledger; the page computes nothing of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pipeline.html_report import spending
from pipeline.html_report.plots import stacked
from pipeline.ledger import guard, history
from pipeline.ledger.directory import drift
from pipeline.ledger.oversight import actions
from pipeline.ledger.oversight.alerts import read_past_alerts
from pipeline.ledger.queries import letters
from pipeline.ledger.queries.prospect import read_exclusions, read_past
from pipeline.ledger.queries.receipts import latest
from pipeline.ledger.queries.snapshot_reader import audience_names, read_snapshot
from pipeline.ledger.queries.spending import HOUR_MINUTES, read_spending
from pipeline.ledger.store import amended, looked_at, owner, transaction
from pipeline.monitoring import prospect_view
from pipeline.monitoring.counts import Counts
from pipeline.monitoring.status_view import StatusData, as_json, time_or_null
from transforms.clock import micros
from transforms.elements import OUTCOMES


class LedgerState:
    """Reads a ledger for the page, and does what its buttons ask for.

    Args:
      ledger: its path.
      refusals: reads what this process's door refused; None where it has no door.
    """

    def __init__(
        self, ledger: str, refusals: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self._refusals = refusals
        self._ledger = ledger
        self._counts = Counts(ledger)

    def status(self) -> dict[str, Any]:
        """As `status --json`, and what became of changes by audience, by reason, and over time.

        Raises:
          ConfigurationError: there is no ledger.
        """
        file = Path(self._ledger).resolve()
        log = file.with_name(f"{file.name}-wal")
        with looked_at(self._ledger) as connection:
            found = read_snapshot(connection, time.time())
            done, paused_at = actions.noted(connection), actions.paused_at(connection)
            past = read_past_alerts(connection)
            since = found.at - (HOUR_MINUTES - 1) * 60
            spent = read_spending(connection, since, found.at)
        counted = self._counts.read()
        activity = counted.activity
        log_bytes = log.stat().st_size if log.exists() else 0
        seen = StatusData(
            found, self._ledger, owner(self._ledger), file.stat().st_size, log_bytes, counted
        )
        return {
            **as_json(seen),
            "funnel": counted.funnel,
            "past_alerts": past,
            "sources": [
                {**each._asdict(), "last_at": time_or_null(each.last_at / 1e6)}
                for each in counted.sources
            ],
            "refusals": None if self._refusals is None else self._refusals(),
            "actions": done,
            "paused_at": time_or_null(paused_at and paused_at / 1e6),
            "spending": [spending.as_json(each, "an hour ago", "now") for each in spent],
            "dead_letters": [each._asdict() for each in activity.refusals],
            "over_time": {
                "began": time_or_null(activity.began and activity.began / 1e6),
                "ended": time_or_null(activity.ended and activity.ended / 1e6),
                "outcomes": [dict(each) for each in activity.outcomes],
                "figure": stacked(
                    activity.outcomes, OUTCOMES, "", "", "Changes by outcome over time"
                ),
            },
        }

    def prospect(self, outreach_id: int) -> dict[str, Any]:
        """As `explain --json`.

        Raises:
          ConfigurationError: there is no ledger.
        """
        with looked_at(self._ledger) as connection:
            fields = read_past(connection, outreach_id)
            excluded = read_exclusions(connection, outreach_id)
            names = audience_names(connection)
            return prospect_view.as_json(outreach_id, fields, names, excluded)

    def receipts(
        self, outreach_id: int | None, segment: str | None, outcome: str | None
    ) -> list[dict[str, Any]]:
        """The latest receipts, newest first; arguments as of `pipeline.ledger.queries.receipts`.

        Raises:
          ConfigurationError: there is no ledger.
        """
        with looked_at(self._ledger) as connection:
            return latest(connection, outreach_id=outreach_id, segment=segment, outcome=outcome)

    def last_dead_letter(self) -> int:
        """The id of the newest dead letter; 0 where there is none.

        Raises:
          ConfigurationError: there is no ledger.
        """
        with looked_at(self._ledger) as connection:
            return history.last_dead_letter(connection)

    def dead_letters(self, after: int, until: int, reason: str | None) -> tuple[int, list[bytes]]:
        """Some dead letters; as of `pipeline.ledger.queries.letters.letters_after`.

        Raises:
          ConfigurationError: there is no ledger.
        """
        with looked_at(self._ledger) as connection:
            return letters.letters_after(connection, after, until, reason)

    def release(self, segment: str) -> bool:
        """Lets a held audience go; returns whether one was held.

        Raises:
          ConfigurationError: there is no ledger, or it cannot be changed.
        """
        with amended(self._ledger) as connection, transaction(connection, durable=True):
            now = micros(time.time())
            found = guard.release(connection, segment, now)
            released = found is not None and found.released_at is None
            if released:
                actions.note(connection, "release", segment, now)
            return released

    def retry(self, reason: str | None) -> int:
        """Has the job try dead letters again; returns how many.

        Raises:
          ConfigurationError: there is no ledger, or it cannot be changed.
        """
        with amended(self._ledger) as connection:
            now = micros(time.time())
            put = letters.retry(connection, now, reason)
            with transaction(connection):
                actions.note(connection, "retry", f"{put} dead letters ({reason or 'all'})", now)
            return put

    def act(self, action: str) -> None:
        """Pauses or resumes the job, or has it check what Outreach holds.

        Args:
          action: ``pause``, ``resume`` or ``reconcile``.

        Raises:
          ConfigurationError: there is no ledger, or it cannot be changed.
        """
        with amended(self._ledger) as connection, transaction(connection, durable=True):
            now = micros(time.time())
            match action:
                case "pause":
                    actions.pause(connection, now)
                case "resume":
                    actions.resume(connection)
                case _:
                    drift.ask_now(connection)
            actions.note(connection, action, "", now)

    @contextmanager
    def watched(self) -> Iterator[Callable[[], int]]:
        """Gives a function whose answer changes whenever the ledger does.

        Raises:
          ConfigurationError: there is no ledger.
        """
        with looked_at(self._ledger) as connection:

            def version() -> int:
                (found,) = connection.execute("PRAGMA data_version").fetchone()
                return int(found)

            yield version


def check_ledger(path: str) -> None:
    """Makes sure that there is a ledger to look at.

    Raises:
      ConfigurationError: there is none, or not one of this release.
    """
    with looked_at(path) as connection, closing(connection.execute("SELECT 1 FROM totals")):
        pass
