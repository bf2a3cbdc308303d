"""Ledgers for tests, filled as the loop fills them and without the loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson

from pipeline.ledger import guard, history, waiting
from pipeline.ledger import users as accounts
from pipeline.ledger.erasure import TABLES
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import connect, owned, transaction
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms
from transforms.elements import DELIVERED, Change, Outcome
from transforms.mapping import Audience

HOUR = 3_600_000_000
NOW = 1_800_000_000_000_000
"""Microseconds since the epoch."""
SECONDS = NOW / 1e6
FIELDS = {"seg-a": "custom4", "seg-b": "custom5"}
AUDIENCES = [
    Audience(segment, None, f"Audience {segment[-1]}", field, ())
    for segment, field in FIELDS.items()
]
_ids = iter(range(1, 2**62))


def member(
    prospect: int, status: str, segment: str = "seg-a", time: int = NOW, user: str = "ops"
) -> Change:
    """A membership change, later than all made before it."""
    number = next(_ids)
    return Change(
        f"c{number:08d}",
        prospect,
        user,
        FIELDS[segment],
        orjson.dumps(status).decode(),
        segment,
        None,
        status,
        time + number,
        number,
    )


@contextmanager
def new_ledger(folder: Path, users: Iterable[str] = ("ops",)) -> Iterator[sqlite3.Connection]:
    """`ledger.db` of a folder, held as the job holds it, that names users and audiences."""
    path = str(folder / "ledger.db")
    with owned(path), closing(connect(path)) as connection:
        with transaction(connection):
            accounts.name_users(connection, dict.fromkeys(users, BudgetTerms()))
            guard.name_audiences(connection, AUDIENCES)
        yield connection


def arrive(
    connection: sqlite3.Connection,
    changes: Iterable[Change],
    *,
    now: int = NOW,
    terms: GuardTerms | None = None,
    lane: int = LIVE,
) -> None:
    """Takes changes in as the loop does."""
    arrived = list(changes)
    with transaction(connection):
        waiting.take_in(connection, waiting.Intake(arrived, [], lane), now, 0)
        guard.watch_exits(connection, arrived, terms or GuardTerms(), now)
        history.add_totals(connection, {"records": len(arrived), "changes": len(arrived)})


def deliver(
    connection: sqlite3.Connection, *, now: int = NOW, prospects: Iterable[int] | None = None
) -> None:
    """All that waits and is not held is answered 200, or that of some prospects."""
    rows = connection.execute(
        "SELECT change_id, outreach_id, user, field, value, segment, namespace, origin,"
        " event_time, sequence FROM waiting WHERE NOT EXISTS (SELECT 1 FROM held"
        " WHERE held.segment = waiting.segment AND held.released_at IS NULL)"
    ).fetchall()
    chosen = None if prospects is None else set(prospects)
    changes = [Change(*row) for row in rows if chosen is None or row[1] in chosen]
    with transaction(connection):
        history.settle_sent(
            connection, [Outcome(DELIVERED, changes, now, http_status=200, user="ops")]
        )


def become_members(
    connection: sqlite3.Connection, prospects: Iterable[int], segment: str = "seg-a"
) -> None:
    """Prospects are known to be members of an audience."""
    arrive(connection, [member(each, "realized", segment) for each in prospects])
    deliver(connection)


def held(connection: sqlite3.Connection) -> list[str]:
    """The segments that are held now."""
    return [each.segment for each in guard.holds(connection) if each.released_at is None]


def spend(connection: sqlite3.Connection, user: str, count: int, ago: float = 0.0) -> None:
    """So many requests of a user were answered a while ago."""
    budget = Budget(BudgetTerms())
    budget.take(count, SECONDS - ago)
    budget.settle(SECONDS - ago)
    accounts.save_budget(connection, user, budget)


def rows_of(connection: sqlite3.Connection, outreach_id: int) -> int:
    """How many rows of all tables are of a prospect."""
    return sum(
        connection.execute(
            f"SELECT count(*) FROM {table} WHERE outreach_id = ?",  # noqa: S608 - of ours
            (outreach_id,),
        ).fetchone()[0]
        for table in TABLES
    )
