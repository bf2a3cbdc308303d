"""What each user waits for between two turns, for people who watch a replay."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from pipeline.engine.user_schedule import UserSchedule
from pipeline.ledger import queue
from transforms.outreach.delivery import UserProgress
from transforms.outreach.sender_pool import SenderPool


def standings(
    ledger: sqlite3.Connection,
    pool: SenderPool,
    ready: Mapping[UserSchedule, float],
    give_up_seconds: float,
    now: float,
) -> list[UserProgress]:
    """What each user with something to send waits for.

    Args:
      ledger: a connection.
      pool: that sends.
      ready: when each user can afford its next turn, in seconds since the epoch.
      give_up_seconds: how long a patch may meet nothing but server trouble.
      now: seconds since the epoch.
    """
    queued = queue.prospects(ledger)
    troubled = queue.troubled_since(ledger)
    found: list[UserProgress] = []
    for schedule, at in ready.items():
        name = schedule.name
        if name not in queued:
            continue
        standing = schedule.standing(now, at, queued[name])
        if name in troubled:
            since, due = troubled[name] / 1e6, queue.next_due(ledger, name)
            standing = replace(
                standing,
                waits_for=pool.last_trouble(name) or "trouble",
                resumes_at=max(pool.held_until(name), now if due is None else due / 1e6),
                troubled_since=since,
                gives_up_at=since + give_up_seconds,
            )
        found.append(standing)
    return found
