"""What a process sets right in the ledger before it goes on with what another left."""

from __future__ import annotations

import sqlite3

from pipeline.engine.config import EngineConfig
from pipeline.ledger import guard, queue, remap, users
from pipeline.ledger.store import be_of, transaction
from transforms.clock import micros
from transforms.mapping import Mapping
from transforms.outreach.backoff import HOLD_MOST_SECONDS


def resume(ledger: sqlite3.Connection, config: EngineConfig, now: float) -> None:
    """Brings what waits up to date with a destination that may have changed, and with the clock.

    Args:
      ledger: a connection.
      config: of the engine.
      now: seconds since the epoch.

    Raises:
      ConfigurationError: the ledger is of another kind of object.
    """
    # Whoever met trouble waits, but not to be looked at only.
    longest = config.hold_seconds if config.dry_run else HOLD_MOST_SECONDS
    longest = max(longest, config.hold_seconds)
    with transaction(ledger):
        be_of(ledger, config.plan.object)
    mapped = Mapping(config.plan)
    left = remap.leftovers(ledger, config.plan.audiences)
    remap.tell(remap.remap(ledger, mapped, micros(now)), left)
    with transaction(ledger):
        remap.note_leftovers(ledger, left, config.plan.audiences, micros(now))
        users.name_users(ledger, {each.name: each.budget for each in config.accesses})
        users.note_live_share(ledger, config.live_share)
        guard.name_audiences(ledger, config.plan.audiences)
        queue.resume(
            ledger,
            [each.name for each in config.accesses],
            mapped.user_of,
            micros(now),
            micros(now + config.hold_seconds),
            micros(now + longest),
        )
