"""When bulk actions are used."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.destination.file import Destination

TRIAL_PROSPECTS = 50
"""Prospects of a user's first batch in a ledger; others follow once it came out right."""
MOST_ON_THEIR_WAY = 10
"""Batches of a user that are at Outreach at once. How many may run it does not say."""


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """When bulk actions are used.

    Attributes:
      enabled: whether at all.
      min_prospects: of a batch.
      max_ids: of a batch.
      give_up_seconds: after which one that does not end is cancelled.
    """

    enabled: bool = False
    min_prospects: int = 200
    max_ids: int = 10_000
    give_up_seconds: float = 3_600.0

    @classmethod
    def of(cls, destination: Destination) -> BulkSettings:
        """As a destination says."""
        bulk = destination.delivery.bulk
        return cls(
            bulk.mode == "auto", bulk.min_prospects, bulk.max_ids, bulk.give_up_minutes * 60.0
        )
