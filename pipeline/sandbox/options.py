"""What a sandbox is told before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

WindowKind = Literal["fixed", "clock", "sliding"]
"""How the hourly window lies: Outreach does not say, so each reading can be tried.

``fixed`` opens with the first request after the last window closed, ``clock`` opens on
the hour, ``sliding`` looks back one hour from each request.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """How strict, how rude and how full a sandbox is.

    Attributes:
      host: address to listen on; loopback, because nothing here guards a network.
      port: 0 takes a free one.
      limit: requests a user may spend in a window; 0 for none.
      hour: seconds in a window.
      window: see `WindowKind`.
      latency_seconds: how long each answer takes on top of the work; only with some
        latency can two requests in flight for one prospect be told from two in a row.
      prospects: ids 1 to this exist at the start.
      prospects_from: JSON Lines of ``{"id": 1, "attributes": {}}`` that exist too.
      tokens: bearer token to user name; where empty, any token is accepted and each
        is a user of its own.
      forbidden: prospects that governance keeps from every user.
      max_url_bytes: longer request targets are refused with 414, as gateways do.
      keep_requests: how many requests the log remembers.
    """

    host: str = "127.0.0.1"
    port: int = 0
    limit: int = 10_000
    hour: float = 3_600.0
    window: WindowKind = "fixed"
    latency_seconds: float = 0.0
    prospects: int = 0
    prospects_from: Path | None = None
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    forbidden: frozenset[int] = frozenset()
    max_url_bytes: int = 8_190
    keep_requests: int = 100_000
