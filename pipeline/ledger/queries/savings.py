"""Changes that took no request of their own, and why not."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from pipeline.ledger.bulk.batches import BULK
from pipeline.ledger.remap import UNMAPPED
from pipeline.ledger.waiting import DIRECTORY
from transforms.elements import DELIVERED, SUPERSEDED, UNCHANGED

_DRY_RUN: Final = "dry_run"


class Savings(NamedTuple):
    """Changes by what spared their requests.

    Attributes:
      merged: a newer one took their place.
      together: went with another field of the same prospect in one request.
      known: to what the ledger knew the field to hold.
      directory: to what the directory says that it holds.
      read: to what it was read to hold, up to 1,000 prospects a request.
      bulk: written by bulk actions, many prospects each.
      batches: of bulk actions that wrote them, at most: those of which something was kept.
    """

    merged: int
    together: int
    known: int
    directory: int
    read: int
    bulk: int
    batches: int

    @property
    def changes(self) -> int:
        """All of them."""
        return sum(self[:-1])


def read_savings(connection: sqlite3.Connection, after_receipt: int, began: int) -> Savings:
    """Reads them.

    Args:
      connection: to a ledger.
      after_receipt: only receipts with a greater id.
      began: only bulk actions that came to their state since, in microseconds since the epoch.
    """
    counts = {
        (outcome, reason, answered): count
        for outcome, reason, answered, count in connection.execute(
            "SELECT outcome, coalesce(reason, ''), http_status NOT NULL, count(*) FROM receipts"
            " WHERE id > ? AND outcome IN (?, ?, ?) GROUP BY 1, 2, 3",
            (after_receipt, SUPERSEDED, UNCHANGED, DELIVERED),
        )
    }

    def of(wanted: str, **where: object) -> int:
        return sum(
            count
            for (outcome, reason, answered), count in counts.items()
            if outcome == wanted
            and where.get("reason", reason) == reason
            and where.get("answered", answered) == answered
        )

    # The changes of one request are recorded at one instant.
    (alone,) = connection.execute(
        "SELECT count(*) FROM (SELECT DISTINCT outreach_id, recorded_at FROM receipts"
        " WHERE id > ? AND outcome = ? AND coalesce(reason, '') NOT IN (?, ?))",
        (after_receipt, DELIVERED, BULK, _DRY_RUN),
    ).fetchone()
    (batches,) = connection.execute(
        "SELECT count(*) FROM batches WHERE kept AND changed_at >= ?", (began,)
    ).fetchone()
    bulk, directory, read = (
        of(DELIVERED, reason=BULK),
        of(UNCHANGED, reason=DIRECTORY),
        of(UNCHANGED, answered=True),
    )
    rehearsed = of(DELIVERED, reason=_DRY_RUN)
    return Savings(
        merged=of(SUPERSEDED) - of(SUPERSEDED, reason=UNMAPPED),
        together=of(DELIVERED) - bulk - rehearsed - alone,
        known=of(UNCHANGED) - directory - read,
        directory=directory,
        read=read,
        bulk=bulk,
        batches=batches,
    )
