"""Each Outreach user's budget and standing, over crashes and restarts."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping

from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms

_log = logging.getLogger(__name__)


def load_budget(
    connection: sqlite3.Connection, user: str, terms: BudgetTerms, now: float
) -> Budget:
    """A user's budget as it was saved; what was granted and not answered counts as spent.

    Args:
      connection: to the ledger.
      user: the user's name.
      terms: as they are now; they may have changed since.
      now: seconds since the epoch.
    """
    row = connection.execute("SELECT budget FROM users WHERE name = ?", (user,)).fetchone()
    if row is None or row[0] is None:
        return Budget(terms)
    try:
        budget = Budget.load(row[0], terms)
    except ValueError:
        # Written by another version: its spends are not known, so all of it counts as spent.
        _log.warning("the budget of user %s is of another release; it starts anew", user)
        budget = Budget(terms)
        budget.take(terms.allowance, now)
    budget.settle(now)
    return budget


def save_budget(connection: sqlite3.Connection, user: str, budget: Budget) -> None:
    """Saves a user's budget, within the caller's transaction."""
    connection.execute(
        "INSERT INTO users (name, budget) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET budget = excluded.budget",
        (user, budget.dump()),
    )


def name_users(connection: sqlite3.Connection, users: Mapping[str, BudgetTerms]) -> None:
    """Notes which users a destination names, and on which terms, within the caller's transaction.

    Others lose their terms: what waits for them is sent by nobody.
    """
    connection.execute("UPDATE users SET requests = NULL, per_seconds = NULL, reserve = NULL")
    connection.executemany(
        "INSERT INTO users (name, requests, per_seconds, reserve) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (name) DO UPDATE SET requests = ?2, per_seconds = ?3, reserve = ?4",
        [(name, terms.requests, terms.per_seconds, terms.reserve) for name, terms in users.items()],
    )


def note_live_share(connection: sqlite3.Connection, share: float) -> None:
    """Notes which part of each budget a backfill never spends, within the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES ('live_share', ?)", (str(share),)
    )


def live_share(connection: sqlite3.Connection) -> float:
    """The part of each budget that a backfill never spends, as it was last noted."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'live_share'").fetchone()
    return 0.0 if row is None else float(row[0])


def set_paused(connection: sqlite3.Connection, user: str, problem: str | None, now: int) -> None:
    """Notes why a user is paused, or that it is not, within the caller's transaction.

    Args:
      connection: to the ledger.
      user: the user's name.
      problem: what a person has to mend; None where nothing is.
      now: microseconds since the epoch.
    """
    connection.execute(
        "INSERT INTO users (name, paused, paused_at) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (name) DO UPDATE SET paused = ?2,"
        " paused_at = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(paused_at, ?3) END",
        (user, problem, None if problem is None else now),
    )
