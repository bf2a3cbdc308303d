"""How many requests what waits takes, by PATCH and by bulk actions."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from pipeline.destination.file import Destination
from pipeline.destination.stage_config import budget_of
from pipeline.engine.org.account_links import look_ups
from pipeline.ledger.bulk.batches import groups
from pipeline.ledger.directory import accounts
from pipeline.ledger.queries.activity import read_waiting_prospects
from transforms.budget.forecast import hours
from transforms.outreach.client import MOST_IDS
from transforms.outreach.read_before_write import READ_LEAST
from transforms.relations import is_freemail

READ_BACK = 1_000
"""Prospects that one request reads back, where their ids are short."""
POLLS = 10
"""Requests that ask how batches stand, about."""


class Requests(NamedTuple):
    """Requests by kind.

    Attributes:
      patch: one a prospect.
      bulk: to create and confirm batches, and to ask how they stand.
      read: of prospects, before they are written or after; and of the accounts of domains.
      hours: until the last of them can be sent.
    """

    patch: int
    bulk: int
    read: int
    hours: float


def forecast(connection: sqlite3.Connection, destination: Destination, now: int) -> Requests:
    """Counts what waits in a ledger; `now` in microseconds since the epoch."""
    waiting = read_waiting_prospects(connection)
    patch = bulk = read = 0
    longest = 0.0
    for user in destination.users:
        alone, in_bulk, batches = _split(connection, destination, user.name, now)
        alone = min(alone, waiting.get(user.name, 0))
        actions = 2 * batches + POLLS * bool(batches)
        reads = -(-in_bulk // READ_BACK) + (-(-alone // MOST_IDS) if alone >= READ_LEAST else 0)
        patch, bulk, read = patch + alone, bulk + actions, read + reads
        longest = max(longest, hours(alone + actions + reads, budget_of(user)))
    domains = (domain for domain, _ in accounts.wanted(connection) if not is_freemail(domain))
    read += sum(1 for _ in look_ups(domains))
    return Requests(patch, bulk, read, longest)


def _split(
    connection: sqlite3.Connection, destination: Destination, user: str, now: int
) -> tuple[int, int, int]:
    """Prospects that go alone, prospects in batches, and the batches that takes."""
    settings = destination.delivery.bulk
    found = (
        groups(connection, user, now, settings.min_prospects, []) if settings.mode == "auto" else []
    )
    pairs = [(each.field, each.value) for each in found]
    if not pairs:
        (alone,) = connection.execute(
            "SELECT count(*) FROM queue WHERE user = ?", (user,)
        ).fetchone()
        return int(alone), 0, 0
    inside = " OR ".join(["(w.field = ? AND w.value = ?)"] * len(pairs))
    values = [part for pair in pairs for part in pair]
    count = "SELECT count(DISTINCT w.outreach_id) FROM waiting AS w WHERE w.user = ?"
    (alone,) = connection.execute(f"{count} AND NOT ({inside})", (user, *values)).fetchone()
    (in_bulk,) = connection.execute(f"{count} AND ({inside})", (user, *values)).fetchone()
    # The first of a user's batches in a ledger is a small one.
    batches = 1 + sum(-(-each.prospects // settings.max_ids) for each in found)
    return int(alone), int(in_bulk), batches
