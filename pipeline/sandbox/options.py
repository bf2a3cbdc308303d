"""A sandbox's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.sandbox.custom_fields import CustomField
from pipeline.sandbox.faults import FaultSettings

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
      foreign_per_hour: requests that each user's other tools spend in a window, evenly.
      latency_seconds: how long each answer takes on top of the work; only with some
        latency can two requests in flight for one prospect be told from two in a row.
      prospects: ids 1 to this exist at the start.
      prospects_from: JSON Lines of ``{"id": 1, "attributes": {}}`` that exist too.
      data: file in which prospects and accounts outlive the sandbox; where it is there,
        it alone says what exists at the start.
      fields: custom fields that an administrator has set up.
      forbidden: prospects that governance keeps from every user.
      vague_errors: whether a 422 points at ``/data`` rather than at the attribute.
      max_url_bytes: longer request targets are refused with 414, as gateways do.
      tokens: bearer token to user name; where empty, any token is accepted and each
        is a user of its own.
      scopes: what those tokens allow.
      clients: OAuth client id to its secret; where empty, any id will do.
      approve: the user in whose name authorize requests are allowed without asking.
      token_interval: seconds between two token requests for a user and application.
      access_seconds: how long an access token lasts.
      refresh_seconds: how long a refresh token lasts.
      lenient_refresh: whether a refresh token stays good once used.
      s2s_key: file with the public key, in PEM, that server-to-server assertions are
        signed for.
      batch_seconds: how long a bulk action takes once it is confirmed.
      batch_items_per_day: records that bulk actions may change in a day.
      faults: what goes wrong, and how often.
      seed: of which requests the faults befall.
      keep_requests: how many requests the log remembers.
    """

    host: str = "127.0.0.1"
    port: int = 0
    limit: int = 10_000
    hour: float = 3_600.0
    window: WindowKind = "fixed"
    foreign_per_hour: float = 0.0
    latency_seconds: float = 0.0
    prospects: int = 0
    prospects_from: Path | None = None
    data: Path | None = None
    fields: tuple[CustomField, ...] = ()
    forbidden: frozenset[int] = frozenset()
    vague_errors: bool = False
    max_url_bytes: int = 8_190
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ("prospects.all", "accounts.all", "users.read", "batches.all")
    clients: Mapping[str, str] = field(default_factory=dict, repr=False)
    approve: str | None = None
    token_interval: float = 60.0
    access_seconds: float = 7_200.0
    refresh_seconds: float = 14 * 86_400.0
    lenient_refresh: bool = False
    s2s_key: Path | None = None
    batch_seconds: float = 5.0
    batch_items_per_day: int = 5_000_000
    faults: FaultSettings = field(default_factory=FaultSettings)
    seed: int = 0
    keep_requests: int = 100_000
