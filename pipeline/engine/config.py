"""The engine's configuration: a plan, the users, how long its turns are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.console import progress
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place, delivery_of, plan_of
from pipeline.engine.bulk.settings import BulkSettings
from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BYTES_AT_ONCE
from transforms import mapping
from transforms.clock import micros, steady
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access, Watch
from transforms.relations import ACCOUNT_DOMAIN

TURN_SECONDS = 5.0
"""What a turn aims to take where something may arrive meanwhile, which waits for its end."""


PATCHES_LEAST = 600
"""Prospects of a turn, where so many are due: as many as one request reads."""


PATCHES_MOST = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What a loop does.

    Attributes:
      plan: what goes where.
      base_url: of the API.
      accesses: the users.
      delivery: how patches are sent.
      hold_seconds: how long a prospect's changes are gathered.
      turn_seconds: what a turn aims to take; it starts no request for longer than twice that.
      patches_first: prospects of the first turn, when it is not known how long they take.
      intake_bytes: of messages that one transaction takes in, about: the door waits for its end.
      refresh_seconds: how long the pages of a full refresh are waited for.
      guard: when an audience that empties is held.
      watch: see `transforms.outreach.sender_pool.Watch`.
      announce: is called before each delivery with how many more prospects of each user wait.
      clock: seconds since the epoch.
      dry_run: nothing is sent; all that would have been counts as delivered.
      directory: how the directory is kept, and what of it is believed.
      bulk: when bulk actions are used.
      live_share: part of each user's budget that a backfill never spends.
    """

    plan: mapping.Plan
    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery
    hold_seconds: float = 0.0
    turn_seconds: float = TURN_SECONDS
    patches_first: int = PATCHES_LEAST
    intake_bytes: int = BYTES_AT_ONCE
    refresh_seconds: float = 86_400.0
    guard: GuardTerms = field(default_factory=GuardTerms)
    watch: Watch | None = None
    announce: Callable[[Mapping[str, int]], None] | None = None
    clock: Callable[[], float] = steady
    dry_run: bool = False
    directory: DirectorySettings = field(default_factory=DirectorySettings)
    bulk: BulkSettings = field(default_factory=BulkSettings)
    live_share: float = 0.0

    @property
    def relates(self) -> bool:
        """Whether prospects are tied to their accounts."""
        return any(each.target == ACCOUNT_DOMAIN for each in self.plan.attributes)

    def believed_since(self, now: int) -> int | None:
        """As of when the directory is believed; None where it is not; in microseconds."""
        seconds = self.directory.believed_seconds
        return now - micros(seconds) if seconds else None


def engine_config(destination: Destination, place: Place, watch: Watch | None) -> EngineConfig:
    """The job of a destination, as a loop takes it."""
    plan = plan_of(destination)
    return EngineConfig(
        plan=plan,
        directory=DirectorySettings.of(destination, plan),
        bulk=BulkSettings.of(destination),
        live_share=destination.delivery.live_share,
        base_url=place.base_url,
        accesses=place.accesses,
        delivery=delivery_of(destination),
        guard=GuardTerms(
            destination.guard.max_exit_percent, destination.guard.window_minutes * 60.0
        ),
        refresh_seconds=destination.delivery.refresh_hours * 3600.0,
        watch=watch,
        announce=progress.announce,
    )
