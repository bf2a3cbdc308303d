"""How long a 429 stops a user's requests."""

from __future__ import annotations

from math import inf
from typing import Final

_LEAST_SECONDS: Final = 1.0
_DOUBLED_MOST_SECONDS: Final = 60.0


class Refusal:
    """The pause after an answer of 429.

    Attributes:
      until: epoch seconds before which no request is granted.
      seconds: the shortest pause after the next 429.
    """

    __slots__ = ("seconds", "until")

    def __init__(self) -> None:
        self.until = -inf
        self.seconds = _LEAST_SECONDS

    def hear(self, until: float, now: float, per_seconds: float) -> None:
        """Takes note of an answer of 429.

        The pause lasts a second at least, twice as long each time when it was soon followed by
        another 429 (the server's clock may be behind ours); and a window at most, because then
        even a limit that was all spent is whole again.

        Args:
          until: epoch seconds at which the server allows requests again, as it says.
          now: epoch seconds, when the answer came.
          per_seconds: the length of the budget's window.
        """
        if now >= self.until:
            soon = now - self.until <= self.seconds
            doubled = min(2 * self.seconds, _DOUBLED_MOST_SECONDS)
            self.seconds = doubled if soon else _LEAST_SECONDS
        until = min(max(now + self.seconds, until), now + per_seconds)
        self.until = max(self.until, until)
