"""What an answer's headers say of a user's budget."""

from __future__ import annotations

from typing import NamedTuple


class RateLimits(NamedTuple):
    """What an answer's headers say of the user's budget; None where they do not.

    Attributes:
      limit: requests in a window.
      remaining: requests left in it.
      reset: epoch seconds at which the server starts afresh.
    """

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
