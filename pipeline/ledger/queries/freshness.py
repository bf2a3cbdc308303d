"""How long changes took from their arrival to their delivery, by audience.

A change arrived when its message was committed to the inbox, or when a replay read its record.
Receipts from before the ledger kept that are left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from transforms.elements import DELIVERED

FRESHNESS_OF: Final = 10_000
"""Of so many of the latest delivered changes, all audiences together, `freshness` tells."""


class Freshness(NamedTuple):
    """How long changes took from their arrival to their delivery.

    Attributes:
      changes: of how many this was told.
      p50: seconds that half of them took at most.
      p99: seconds that 99 in 100 of them took at most.
    """

    changes: int
    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """Returns the freshness of some changes, one at least, by the seconds that each took."""
        some = sorted(seconds)
        count = len(some)
        return cls(count, some[(count - 1) // 2], some[-(-99 * count // 100) - 1])


def freshness(connection: sqlite3.Connection) -> dict[str, Freshness]:
    """Freshness by segment; of audiences of which changes were delivered lately.

    Args:
      connection: to a ledger.
    """
    return _by_segment(
        connection.execute(
            "SELECT segment, arrived_at, recorded_at FROM receipts NOT INDEXED"
            " WHERE outcome = ? AND segment NOT NULL ORDER BY id DESC LIMIT ?",
            (DELIVERED, FRESHNESS_OF),
        )
    )


def freshness_since(
    connection: sqlite3.Connection, after_receipt: int
) -> tuple[Freshness | None, dict[str, Freshness]]:
    """Freshness of all changes, those of attributes too, and by segment.

    Args:
      connection: to a ledger.
      after_receipt: an id; only receipts with a greater one count.
    """
    found = connection.execute(
        "SELECT segment, arrived_at, recorded_at FROM receipts WHERE id > ? AND outcome = ?",
        (after_receipt, DELIVERED),
    ).fetchall()
    everything = [_seconds(*times) for _, *times in found if times[0] is not None]
    return (Freshness.of(everything) if everything else None), _by_segment(found)


def _by_segment(
    receipts: Iterable[tuple[str | None, int | None, int]],
) -> dict[str, Freshness]:
    seconds: dict[str, list[float]] = {}
    for segment, arrived_at, recorded_at in receipts:
        if segment is not None and arrived_at is not None:
            seconds.setdefault(segment, []).append(_seconds(arrived_at, recorded_at))
    return {segment: Freshness.of(some) for segment, some in seconds.items()}


def _seconds(arrived_at: int, recorded_at: int) -> float:
    """Never less than none: the clock may have been set back in between."""
    return max(0, recorded_at - arrived_at) / 1e6
