"""How long changes took from their own time to their delivery, by audience."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from transforms.elements import DELIVERED

FRESHNESS_OF: Final = 10_000
"""Of so many of the latest delivered changes, all audiences together, `freshness` tells."""


class Freshness(NamedTuple):
    """How long changes took from their own time to their delivery.

    Attributes:
      changes: of how many this was told.
      p50: seconds that half of them took at most.
      p99: seconds that 99 in 100 of them took at most.
    """

    changes: int
    p50: float
    p99: float

    @classmethod
    def of(cls, some: Sequence[float]) -> Self:
        """Returns the freshness of delays in seconds, in ascending order; at least one."""
        count = len(some)
        return cls(count, some[(count - 1) // 2], some[-(-99 * count // 100) - 1])


def freshness(connection: sqlite3.Connection) -> dict[str, Freshness]:
    """Freshness by segment; of audiences of which changes with a time were delivered lately.

    Args:
      connection: to a ledger.
    """
    delays: dict[str, list[float]] = {}
    for segment, delay in connection.execute(
        "SELECT segment, delay FROM (SELECT segment, recorded_at - event_time AS delay"
        "  FROM receipts WHERE outcome = ? AND event_time NOT NULL AND segment NOT NULL"
        "  ORDER BY id DESC LIMIT ?) ORDER BY delay",
        (DELIVERED, FRESHNESS_OF),
    ):
        delays.setdefault(segment, []).append(max(0, delay) / 1e6)
    return {segment: Freshness.of(some) for segment, some in delays.items()}


def freshness_since(
    connection: sqlite3.Connection, after_receipt: int
) -> tuple[Freshness | None, dict[str, Freshness]]:
    """Freshness of all changes and by segment, of receipts with a greater id.

    Args:
      connection: to a ledger.
      after_receipt: an id.
    """
    everything: list[float] = []
    delays: dict[str, list[float]] = {}
    for segment, delay in connection.execute(
        "SELECT segment, recorded_at - event_time AS delay FROM receipts WHERE id > ?"
        " AND outcome = ? AND event_time NOT NULL AND recorded_at >= event_time ORDER BY delay",
        (after_receipt, DELIVERED),
    ):
        everything.append(delay / 1e6)
        if segment is not None:
            delays.setdefault(segment, []).append(delay / 1e6)
    found = {segment: Freshness.of(some) for segment, some in delays.items()}
    return (Freshness.of(everything) if everything else None), found
