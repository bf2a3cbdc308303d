"""Changes taken in, whose turn it is, and what came of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from pipeline.ledger import history, queue, waiting
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import transaction
from tests.support.data.changes import ids
from tests.support.in_process.ledgers import NOW
from transforms.elements import DELIVERED, Change, Outcome, Patch

HOLD = 5_000_000


def take_in(
    ledger: sqlite3.Connection,
    *changes: Change,
    lane: int = LIVE,
    now: int = NOW,
    hold: int = 0,
) -> None:
    with transaction(ledger):
        waiting.take_in(ledger, waiting.Intake(list(changes), [], lane), now, hold)


def turns(
    ledger: sqlite3.Connection,
    most: int = 100,
    *,
    user: str = "ops",
    now: int = NOW,
    owed: int = 0,
) -> list[Patch]:
    return queue.next_turns(ledger, user, most, now, owed).patches


def settle(
    ledger: sqlite3.Connection, changes: Sequence[Change], outcome: str = DELIVERED, now: int = NOW
) -> None:
    with transaction(ledger):
        history.settle_sent(ledger, [Outcome(outcome, changes, now, user="ops")])


def doubt(ledger: sqlite3.Connection, patches: Sequence[Patch]) -> None:
    with transaction(ledger):
        history.doubt(ledger, patches)


def receipts(ledger: sqlite3.Connection) -> dict[str, str]:
    """The one outcome of each change; fails where one has two."""
    rows = ledger.execute("SELECT change_id, outcome FROM receipts").fetchall()
    assert Counter(change_id for change_id, _ in rows).most_common(1)[0][1] == 1
    return dict(rows)


def sent(patches: Sequence[Patch]) -> dict[int, list[str]]:
    return {patch.outreach_id: ids(patch.changes) for patch in patches}
