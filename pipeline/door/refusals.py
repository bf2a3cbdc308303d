"""What the door refused, by source: counted for as long as the process runs, and kept nowhere."""

from __future__ import annotations

import threading
from typing import Any, Final

from transforms.clock import micros
from transforms.times import format_time

NO_SOURCE: Final = "no such source"
"""What is asked of the door by another name than a source's."""
TOKENS: Final = "/oauth/token"
"""What is refused a token: its source is not known."""


class Refusals:
    """Counts of refused requests; one thread counts, others read.

    Args:
      since: when counting began, in seconds since the epoch.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[int, str], tuple[int, float]]] = {}

    def note(self, source: str, status: int, reason: str, now: float) -> None:
        """A request was refused.

        Args:
          source: its name, or `NO_SOURCE`, or `TOKENS`: never what a stranger has made up.
          status: of the answer.
          reason: the code in it.
          now: seconds since the epoch.
        """
        with self._lock:
            reasons = self._counts.setdefault(source, {})
            count, _ = reasons.get((status, reason), (0, now))
            reasons[status, reason] = (count + 1, now)

    def read(self) -> dict[str, Any]:
        """As JSON: since when, and each source with its reasons, the most frequent first."""
        with self._lock:
            counts = {source: dict(reasons) for source, reasons in self._counts.items()}
        return {
            "since": format_time(micros(self._since)),
            "sources": [
                {
                    "source": source,
                    "refused": sum(count for count, _ in reasons.values()),
                    "reasons": [
                        {
                            "status": status,
                            "reason": reason,
                            "count": count,
                            "last_at": format_time(micros(last)),
                        }
                        for (status, reason), (count, last) in sorted(
                            reasons.items(), key=lambda each: -each[1][0]
                        )
                    ],
                }
                for source, reasons in sorted(counts.items())
            ],
        }
