"""The latest receipts of whatever is asked for are found without reading the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from pipeline.ledger import history
from pipeline.ledger.queries.activity import read_activity
from pipeline.ledger.queries.receipts import latest
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import NOW, new_ledger
from transforms.elements import Change, Outcome

MANY = 20_000
KINDS = (
    ("seg-a", "custom4", "delivered"),
    ("seg-a", "custom4", "unchanged"),
    ("seg-a", "custom9", "delivered"),
    ("seg-b", "custom5", "superseded"),
    (None, "title", "delivered"),
    (None, "addressCity", "rejected"),
)


def put(ledger: sqlite3.Connection, count: int, segment: str | None, *kind: str) -> None:
    field, outcome = kind
    changes = [
        Change(f"{kind}{each}", each % 7 + 1, "ops", field, "null", segment, None, "", NOW, each)
        for each in range(count)
    ]
    with transaction(ledger):
        history.record(ledger, [Outcome(outcome, changes, NOW)])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path) as connection:
        yield connection


def steps(ledger: sqlite3.Connection, **wanted: object) -> int:
    """How many hundred instructions of SQLite's machine a question takes."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    ledger.set_progress_handler(step, 100)
    try:
        latest(ledger, **wanted)  # type: ignore[arg-type]
    finally:
        ledger.set_progress_handler(None, 0)
    return count


def test_they_are_those_that_a_walk_over_all_receipts_would_find(
    ledger: sqlite3.Connection,
) -> None:
    for turn, kind in product(range(3), KINDS):
        put(ledger, 5 * turn + 1, *kind)
    for prospect, segment, outcome in product(
        (None, 3, 99), (None, "seg-a", "seg-b", "none"), (None, "delivered", "rejected", "deferred")
    ):
        walked = ledger.execute(
            "SELECT change_id FROM receipts NOT INDEXED"
            " WHERE ?1 IN (outreach_id, 0) AND ?2 IN (segment, '') AND ?3 IN (outcome, '')"
            " ORDER BY id DESC LIMIT 9",
            (prospect or 0, segment or "", outcome or ""),
        ).fetchall()
        found = latest(ledger, outreach_id=prospect, segment=segment, outcome=outcome, most=9)
        assert [(each["change_id"],) for each in found] == walked


@pytest.mark.parametrize(
    "wanted",
    [
        {"outcome": "deferred"},
        {"outcome": "rejected"},
        {"segment": "none"},
        {"segment": "seg-b"},
        {"segment": "seg-a", "outcome": "rejected"},
        {"outreach_id": 99},
        {"outreach_id": 99, "outcome": "delivered", "segment": "seg-a"},
    ],
    ids=str,
)
def test_what_is_rare_or_never_was_costs_no_walk_over_what_there_is(
    ledger: sqlite3.Connection, wanted: dict[str, object]
) -> None:
    put(ledger, 2, "seg-b", "custom5", "superseded")
    put(ledger, 2, None, "title", "rejected")
    put(ledger, MANY, "seg-a", "custom4", "delivered")
    assert steps(ledger, **wanted) < 20


def test_counts_by_audience_are_the_same_of_all_and_of_the_latest(
    ledger: sqlite3.Connection,
) -> None:
    put(ledger, 4, "seg-a", "custom4", "delivered")
    (last,) = ledger.execute("SELECT max(id) FROM receipts").fetchone()
    put(ledger, 3, "seg-a", "custom4", "delivered")

    def delivered(after: int) -> int:
        found = read_activity(ledger, after, for_report=False).audiences
        return sum(each.outcomes["delivered"] for each in found)

    assert (delivered(0), delivered(last)) == (7, 3)
