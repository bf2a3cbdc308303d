"""Counts of receipts, for which nobody waits twice: a ledger may hold millions."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.ledger.queries.activity import Activity, read_activity
from pipeline.ledger.queries.freshness import Freshness, freshness
from pipeline.ledger.queries.receipts import funnel
from pipeline.ledger.queries.sources import Source, read_sources
from pipeline.ledger.store import looked_at
from transforms.errors import ActivationError

FRESH_SECONDS: Final = 2.0
"""For how long counts are good at least."""
QUICK_SECONDS: Final = 0.1
"""What counts faster than this is counted while the page waits."""
SHARE: Final = 10
"""Counting takes at most one part in so many of the time."""


class Counted(NamedTuple):
    """What receipts come to.

    Attributes:
      activity: changes by audience, by reason, and over time; without what only a report shows.
      funnel: outcomes of the last hour, day and week, by span.
      freshness: of audiences, by segment.
      sources: of messages, by name.
    """

    activity: Activity
    funnel: Mapping[str, Mapping[str, int]]
    freshness: Mapping[str, Freshness]
    sources: Sequence[Source]


class Counts:
    """The latest counts of a ledger; where counting takes long, a thread renews them.

    Args:
      ledger: its path.
    """

    def __init__(self, ledger: str) -> None:
        self._ledger = ledger
        self._last: Counted | None = None
        self._took = 0.0
        self._good_until = float("-inf")
        self._counting = threading.Lock()

    def read(self) -> Counted:
        """Returns counts; waits for them only where there are none, or counting is quick.

        Raises:
          ConfigurationError: there is no ledger.
        """
        last = self._last
        if last is None or (self._took < QUICK_SECONDS and time.monotonic() > self._good_until):
            with self._counting:
                # Another request may have counted while this one waited.
                if self._last is None or time.monotonic() > self._good_until:
                    return self._count()
                return self._last
        if time.monotonic() > self._good_until and self._counting.acquire(blocking=False):
            threading.Thread(target=self._renew, name="counts", daemon=True).start()
        return last

    def _renew(self) -> None:
        """Counts, where the lock is held already; what failed is tried again later."""
        try:
            self._count()
        except (ActivationError, sqlite3.Error):
            self._good_until = time.monotonic() + FRESH_SECONDS
        finally:
            self._counting.release()

    def _count(self) -> Counted:
        began = time.monotonic()
        with looked_at(self._ledger) as connection:
            found = Counted(
                read_activity(connection, for_report=False),
                funnel(connection, time.time()),
                freshness(connection),
                read_sources(connection, time.time()),
            )
        self._last, ended = found, time.monotonic()
        self._took = ended - began
        self._good_until = ended + max(FRESH_SECONDS, SHARE * self._took)
        return found
