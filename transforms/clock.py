"""The one place where time is read; everything else is told the time."""

from __future__ import annotations

import time

_STARTED = time.time() - time.monotonic()


def steady() -> float:
    """Seconds since the epoch that never step: the wall clock at start, and what passed since.

    A budget that is counted on a wall clock would overspend when that clock is set forward.
    """
    return _STARTED + time.monotonic()


def micros(seconds: float) -> int:
    """Whole microseconds, the unit of all elements, from seconds."""
    return round(seconds * 1_000_000)
