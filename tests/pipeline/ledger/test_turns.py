"""Whose turn it is: prospects taken out of what waits, by plain SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.ledger import queue
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.store import transaction
from tests.pipeline.ledger.waiting import HOLD, receipts, sent, settle, take_in, turns
from tests.support.data.changes import change
from tests.support.in_process.ledgers import NOW, new_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path, ("ops", "sales")) as connection:
        yield connection


def test_each_user_is_given_its_own_prospects_the_longest_due_first(
    ledger: sqlite3.Connection,
) -> None:
    for moment, prospect in enumerate((5, 3, 9, 1)):
        take_in(ledger, change(prospect), now=NOW + moment)
    take_in(ledger, change(2, user="sales"))

    assert [each.outreach_id for each in turns(ledger, 3, now=NOW + 10)] == [5, 3, 9]
    assert [each.outreach_id for each in turns(ledger, user="sales")] == [2]


def test_live_prospects_go_before_the_backfill_and_leave_it_what_is_owed(
    ledger: sqlite3.Connection,
) -> None:
    take_in(ledger, *(change(each) for each in range(1, 21)), lane=BACKFILL, now=NOW - 100)
    take_in(ledger, *(change(each) for each in range(101, 121)))

    assert all(each.outreach_id > 100 for each in turns(ledger, 20))
    assert [each.outreach_id for each in turns(ledger, 30)][20:] == list(range(1, 11))
    found = queue.next_turns(ledger, "ops", 20, NOW, owed=2)
    assert found.backfill == 2
    assert sum(each.outreach_id > 100 for each in found.patches) == 18
    assert queue.next_turns(ledger, "ops", 1, NOW, owed=1).backfill == 1


def test_a_live_change_takes_its_prospects_backfill_along(ledger: sqlite3.Connection) -> None:
    take_in(ledger, *(change(each, "custom5") for each in range(1, 21)), lane=BACKFILL)
    take_in(ledger, change(17, "custom4"))

    (patch,) = turns(ledger, 1)

    assert (patch.outreach_id, len(patch.changes)) == (17, 2)


def test_backfill_that_comes_later_makes_no_live_prospect_wait(ledger: sqlite3.Connection) -> None:
    take_in(ledger, change(1, "custom4"))
    take_in(ledger, change(1, "custom5"), lane=BACKFILL)
    take_in(ledger, change(2))

    assert {each.outreach_id for each in turns(ledger, 2)} == {1, 2}
    assert queue.next_turns(ledger, "ops", 2, NOW).backfill == 0


def test_trouble_is_waited_out_and_counted_until_something_is_decided(
    ledger: sqlite3.Connection,
) -> None:
    take_in(ledger, change(1, "custom4"), change(1, "custom5"))
    (patch,) = turns(ledger)
    troubled = patch._replace(attempts=3, troubled_since=NOW - 7, not_before=NOW + 50)
    with transaction(ledger):
        queue.postpone(ledger, [troubled])

    assert turns(ledger, now=NOW + 49) == []
    assert queue.next_due(ledger, "ops") == NOW + 50
    (again,) = turns(ledger, now=NOW + 50)
    assert (again.attempts, again.troubled_since) == (3, NOW - 7)

    settle(ledger, again.changes[:1])
    (rest,) = turns(ledger, now=NOW + 50)
    assert (rest.attempts, rest.troubled_since, len(rest.changes)) == (0, None, 1)


def test_who_was_not_reached_keeps_the_place_it_had(ledger: sqlite3.Connection) -> None:
    take_in(ledger, change(1))
    take_in(ledger, change(2), now=NOW + 5)
    (first, *_) = turns(ledger, now=NOW + 10)
    with transaction(ledger):
        queue.postpone(ledger, [first])

    assert [each.outreach_id for each in turns(ledger, 1, now=NOW + 10)] == [1]


def test_an_outcome_ends_the_change_that_was_sent_and_not_the_one_that_took_its_place(
    ledger: sqlite3.Connection,
) -> None:
    under_way = change(1, "custom4", "realized", time=10)
    take_in(ledger, under_way)
    newer = change(1, "custom4", "exited", time=20)
    take_in(ledger, newer)
    assert receipts(ledger) == {under_way.change_id: "superseded"}

    (patch,) = turns(ledger)

    assert patch.changes == [newer]


def test_what_waits_for_a_user_who_is_gone_goes_by_another(ledger: sqlite3.Connection) -> None:
    take_in(ledger, change(1), change(2, user="sales"), change(3, user="sales"))

    with transaction(ledger):
        queue.resume(ledger, ["ops"], lambda _: "ops", NOW, NOW + HOLD, NOW + HOLD)

    assert {each.outreach_id for each in turns(ledger)} == {1, 2, 3}
    assert queue.prospects(ledger) == {"ops": 3}
    assert ledger.execute("SELECT DISTINCT user FROM waiting").fetchall() == [("ops",)]


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it(ledger: sqlite3.Connection) -> None:
    day = 86_400_000_000
    take_in(ledger, change(1), now=NOW + day, hold=HOLD)
    (patch,) = turns(ledger, now=NOW + day + HOLD)
    with transaction(ledger):
        queue.postpone(ledger, [patch._replace(attempts=1, troubled_since=NOW + day)])

    with transaction(ledger):
        later = NOW + 100 * HOLD
        queue.resume(ledger, ["ops", "sales"], lambda _: "ops", NOW, NOW + HOLD, later)

    assert queue.next_due(ledger, "ops") == NOW + HOLD
    (again,) = turns(ledger, now=NOW + HOLD)
    assert again.troubled_since == NOW
    assert ledger.execute("SELECT received_at FROM waiting").fetchall() == [(NOW,)]


def test_a_time_that_was_named_is_waited_for_by_the_next_process_too(
    ledger: sqlite3.Connection,
) -> None:
    take_in(ledger, change(1), now=NOW)
    (patch,) = turns(ledger, now=NOW)
    with transaction(ledger):
        queue.postpone(ledger, [patch._replace(not_before=NOW + 50 * HOLD)])

    with transaction(ledger):
        later = NOW + 100 * HOLD
        queue.resume(ledger, ["ops"], lambda _: "ops", NOW + 1, NOW + 1 + HOLD, later)

    assert queue.next_due(ledger, "ops") == NOW + 50 * HOLD


@pytest.mark.parametrize("lane", [LIVE, BACKFILL])
def test_held_audiences_are_passed_over_and_their_prospects_other_fields_are_not(
    ledger: sqlite3.Connection, lane: int
) -> None:
    held = change(1, "custom4")._replace(segment="held")
    both = change(2, "custom4")._replace(segment="held")
    free = change(2, "custom5")
    take_in(ledger, held, both, free, lane=lane)
    ledger.execute("INSERT INTO held (segment, since, members, exits) VALUES ('held', 1, 1, 1)")

    assert sent(turns(ledger)) == {2: [free.change_id]}
    assert queue.next_due(ledger, "ops") == NOW
    settle(ledger, [free])
    assert turns(ledger) == []
    assert queue.next_due(ledger, "ops") is None, "who waits for a person makes nobody ask again"

    ledger.execute("UPDATE held SET released_at = 2")
    assert sent(turns(ledger)) == {1: [held.change_id], 2: [both.change_id]}
