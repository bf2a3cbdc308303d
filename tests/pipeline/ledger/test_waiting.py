"""What waits: the newest of each field, and nothing that the field holds already."""

from __future__ import annotations

import sqlite3

from pipeline.ledger import queue, waiting
from tests.pipeline.ledger.waiting import HOLD, doubt, receipts, sent, settle, take_in, turns
from tests.support.data.changes import change, ids
from tests.support.in_process.ledgers import NOW
from transforms.elements import REJECTED, UNCHANGED


def test_of_what_waits_the_newest_of_each_field_stays(ledger: sqlite3.Connection) -> None:
    first = change(1, "custom4", time=10)
    newest = change(1, "custom4", "exited", time=30)
    late = change(1, "custom4", "existing", time=20)
    other = change(1, "custom5", time=1)

    for one in (first, newest, late, other):
        take_in(ledger, one)

    assert receipts(ledger) == {first.change_id: "superseded", late.change_id: "superseded"}
    assert sent(turns(ledger)) == {1: ids([newest, other])}


def test_what_a_field_holds_already_or_held_later_costs_no_request(
    ledger: sqlite3.Connection,
) -> None:
    delivered = change(1, "custom4", "realized", time=20)
    take_in(ledger, delivered)
    settle(ledger, [delivered])
    older = change(1, "custom4", "exited", time=10)
    same = change(1, "custom4", "realized", time=30)
    between = change(1, "custom4", "exited", time=25)

    take_in(ledger, older)
    take_in(ledger, same)
    take_in(ledger, between)

    assert receipts(ledger) == {
        delivered.change_id: "delivered",
        older.change_id: "superseded",
        same.change_id: "unchanged",
        between.change_id: "superseded",
    }
    assert turns(ledger) == []


def test_a_dead_letter_is_sent_again_whatever_is_known(ledger: sqlite3.Connection) -> None:
    delivered = change(1, "custom4", "realized", time=20)
    take_in(ledger, delivered)
    settle(ledger, [delivered])

    again = change(1, "custom4", "realized", time=20, retry=True)
    take_in(ledger, again)

    (patch,) = turns(ledger)
    assert patch.changes == [again]


def test_a_value_from_before_is_sent_where_a_request_may_have_overwritten_it(
    ledger: sqlite3.Connection,
) -> None:
    before = change(1, "custom4", "realized", time=10)
    take_in(ledger, before)
    settle(ledger, [before])
    under_way = change(1, "custom4", "exited", time=20)
    take_in(ledger, under_way)
    doubt(ledger, turns(ledger))
    # Its answer is never heard: the process dies, or the line.

    back = change(1, "custom4", "realized", time=30)
    take_in(ledger, back)

    assert sent(turns(ledger)) == {1: [back.change_id]}
    settle(ledger, [back])
    settled = change(1, "custom4", "realized", time=40)
    take_in(ledger, settled)
    assert receipts(ledger)[settled.change_id] == "unchanged"


def test_a_value_that_was_read_is_known(ledger: sqlite3.Connection) -> None:
    read = change(1, "custom4", "realized", time=10)
    take_in(ledger, read)
    settle(ledger, [read], UNCHANGED)

    same = change(1, "custom4", "realized", time=20)
    take_in(ledger, same)

    assert receipts(ledger)[same.change_id] == "unchanged"


def test_what_was_refused_is_not_known_and_can_come_again(ledger: sqlite3.Connection) -> None:
    refused = change(1, "custom4", "realized", time=10)
    take_in(ledger, refused)
    settle(ledger, [refused], REJECTED)
    again = change(1, "custom4", "realized", time=20)

    take_in(ledger, again)

    assert sent(turns(ledger)) == {1: [again.change_id]}
    (line,) = ledger.execute("SELECT line FROM dead_letters").fetchone()
    assert refused.change_id.encode() in line


def test_a_prospect_waits_for_its_hold_and_what_comes_meanwhile_does_not_prolong_it(
    ledger: sqlite3.Connection,
) -> None:
    take_in(ledger, change(1, "custom4"), hold=HOLD)
    take_in(ledger, change(1, "custom5"), now=NOW + HOLD - 1, hold=HOLD)

    assert turns(ledger, now=NOW + HOLD - 1) == []
    assert queue.next_due(ledger, "ops") == NOW + HOLD
    (patch,) = turns(ledger, now=NOW + HOLD)
    assert len(patch.changes) == 2


def test_nothing_of_a_prospect_is_left_when_all_of_it_was_overtaken(
    ledger: sqlite3.Connection,
) -> None:
    delivered = change(1, "custom4", "realized", time=10)
    take_in(ledger, delivered)
    settle(ledger, [delivered])
    take_in(ledger, change(1, "custom4", "exited", time=20))

    take_in(ledger, change(1, "custom4", "realized", time=30))

    assert turns(ledger) == []
    assert queue.next_due(ledger, "ops") is None
    assert waiting.count(ledger) == 0
    assert queue.prospects(ledger) == {}
