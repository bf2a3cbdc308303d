"""Whether an always-on job is well, as `/healthz` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.console.formatting import duration

TURN_SECONDS = 180.0
"""A turn of the loop takes seconds, and a minute where Outreach lets every request time out."""


@dataclass(slots=True)
class Health:
    """What the loop tells of itself; read by other threads.

    Attributes:
      clock: seconds since the epoch.
      failure: why pulling ended; None while it goes on.
      turned_at: when the loop last came round with everything committed.
    """

    clock: Callable[[], float]
    failure: Callable[[], BaseException | None]
    turned_at: float

    def turned(self) -> None:
        """The loop came round."""
        self.turned_at = self.clock()

    def trouble(self) -> str | None:
        """Returns what is wrong, for a person; None if nothing is."""
        failure = self.failure()
        if failure is not None:
            return f"pulling from the subscription ended: {type(failure).__name__}"
        since = self.clock() - self.turned_at
        if since > TURN_SECONDS:
            return f"the loop has not come round for {duration(since)}"
        return None
