"""The ledger's inbox, history and accounts: what is kept, how long, and what a crash leaves."""

from __future__ import annotations

import sqlite3

import pytest

from pipeline.engine.user_schedule import (
    ADVANCE_LEAST,
    ADVANCE_MOST,
    REST_MOST_SECONDS,
    UserSchedule,
)
from pipeline.ledger import history
from pipeline.ledger import users as accounts
from pipeline.ledger.inbox import BACKFILL, LIVE, Message, next_arrivals, receive, taken_in, unread
from pipeline.ledger.queue import Turns
from pipeline.ledger.store import transaction
from tests.support.data.changes import patches
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    arrive,
    become_members,
    deliver,
    member,
)
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import Patch
from transforms.outreach.auth.credentials import BearerAuth
from transforms.outreach.sender_pool import Access

SECONDS = NOW / 1e6
TERMS = BudgetTerms(1_000, 3600.0, 0)


def message(number: int, lane: int = LIVE, source: str = "s") -> Message:
    return Message(source, f"m{number}", NOW + number, lane, f"body {number}".encode())


def bodies(ledger: sqlite3.Connection, lane: int, most: int = 100) -> list[str]:
    blocks, _, _ = next_arrivals(ledger, lane, most)
    return [line.decode() for block in blocks for line in block.lines]


# The inbox


def test_a_message_that_comes_again_is_known_even_after_it_was_taken_in(
    ledger: sqlite3.Connection,
) -> None:
    assert receive(ledger, [message(1), message(2), message(1)], NOW) == 2
    with transaction(ledger):
        taken_in(ledger, next_arrivals(ledger, LIVE, 1)[1])

    assert receive(ledger, [message(2), message(1), message(3)], NOW) == 1
    assert receive(ledger, [message(1, source="another")], NOW) == 1

    assert bodies(ledger, LIVE) == ["body 2", "body 3", "body 1"]
    assert unread(ledger)[0] == 3


def test_messages_are_taken_in_by_lane_in_the_order_of_arrival(ledger: sqlite3.Connection) -> None:
    receive(ledger, [message(9, BACKFILL), message(3), message(1), message(8, BACKFILL)], NOW)

    assert bodies(ledger, LIVE) == ["body 3", "body 1"]
    assert bodies(ledger, BACKFILL, 1) == ["body 9"]
    (block, _), _, _ = next_arrivals(ledger, LIVE, 9)
    assert (block.published, block.message_id) == (NOW + 3, "m3")


def test_no_more_bytes_are_read_at_once_than_memory_is_meant_for(
    ledger: sqlite3.Connection,
) -> None:
    sizes = (3, 3, 3, 50, 0, 1)
    receive(
        ledger,
        [Message("s", f"m{each}", NOW, LIVE, b"x" * size) for each, size in enumerate(sizes)],
        NOW,
    )

    def taken(most: int) -> list[int]:
        blocks, places, _ = next_arrivals(ledger, LIVE, most, most_bytes=5)
        with transaction(ledger):
            taken_in(ledger, places)
        return [len(line) for block in blocks for line in block.lines]

    assert [taken(9), taken(9), taken(1), taken(9), taken(9)] == [[3, 3], [3, 50], [0], [1], []]


def test_a_message_of_no_bytes_is_taken_in_like_any_other(ledger: sqlite3.Connection) -> None:
    receive(ledger, [Message("s", "empty", NOW, LIVE, b"")], NOW)
    _, places, _ = next_arrivals(ledger, LIVE, 9)
    with transaction(ledger):
        taken_in(ledger, places)

    assert next_arrivals(ledger, LIVE, 9) == ([], [], [])


# Pruning


def test_what_is_old_goes_a_limited_number_of_rows_at_a_time(ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(each, "realized") for each in range(1, 8)])
    deliver(ledger, now=NOW)
    arrive(ledger, [member(9, "realized")], now=NOW + HOUR)
    deliver(ledger, now=NOW + HOUR)

    gone = [history.prune(ledger, NOW + 1, NOW + 1, most=3) for _ in range(4)]

    assert gone == [6, 6, 2, 0]
    assert ledger.execute("SELECT outreach_id FROM receipts").fetchall() == [(9,)]
    assert ledger.execute("SELECT outreach_id FROM known").fetchall() == [(9,)]


def test_what_is_remembered_and_what_is_kept_have_times_of_their_own(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, [1])

    history.prune(ledger, kept_since=NOW + 1, remembered_since=NOW - 1)

    assert ledger.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
    assert ledger.execute("SELECT count(*) FROM known").fetchone() == (1,)


def test_a_message_that_was_not_taken_in_is_never_too_old(ledger: sqlite3.Connection) -> None:
    receive(ledger, [message(1), message(2)], NOW)
    with transaction(ledger):
        taken_in(ledger, next_arrivals(ledger, LIVE, 1)[1])
    receive(ledger, [message(3)], NOW + HOUR)

    history.prune(ledger, NOW + 1, 0)

    assert receive(ledger, [message(1)], NOW) == 1, "its id was forgotten"
    assert bodies(ledger, LIVE) == ["body 2", "body 3", "body 1"]


def test_a_replay_that_was_never_ended_is_forgotten(ledger: sqlite3.Connection) -> None:
    ledger.execute("INSERT INTO replays VALUES ('old', ?, 3, '{}')", (NOW - 1,))
    ledger.execute("INSERT INTO replays VALUES ('new', ?, 3, '{}')", (NOW,))

    history.prune(ledger, NOW, 0)

    assert ledger.execute("SELECT files FROM replays").fetchall() == [("new",)]


# Accounts


def schedule(ledger: sqlite3.Connection, now: float = SECONDS) -> UserSchedule:
    return UserSchedule(Access("ops", BearerAuth("TOKEN"), TERMS), ledger, now)


def turns_of(count: int, backfill: int = 0) -> Turns:
    given: list[Patch] = patches(range(1, count + 1))
    return Turns(given, backfill)


def spend(ledger: sqlite3.Connection, requests: int, patches: int) -> None:
    """Sends so many requests of a turn, and is killed."""
    grant = schedule(ledger).grant(patches)
    for _ in range(requests):
        assert grant.take(1, SECONDS) == (1, 0.0)
        grant.learn(RateLimits(), SECONDS, answers_when_sent=grant.answers)


@pytest.mark.parametrize(("patches", "step"), [(1, ADVANCE_LEAST), (50, 50), (5_000, ADVANCE_MOST)])
def test_a_killed_process_spent_no_more_than_the_next_one_knows_and_little_less(
    ledger: sqlite3.Connection, patches: int, step: int
) -> None:
    for requests in (1, step - 1, step, step + 1):
        before = schedule(ledger).affordable(SECONDS)
        spend(ledger, requests, patches)

        lost = before - schedule(ledger).affordable(SECONDS) - requests
        assert 0 <= lost < step


def test_a_budget_is_not_spent_that_cannot_be_written_down(ledger: sqlite3.Connection) -> None:
    one = schedule(ledger)
    before = one.affordable(SECONDS)
    grant = one.grant(5)
    ledger.execute("PRAGMA query_only = ON")

    assert grant.take(1, SECONDS)[0] == 0
    assert grant.trouble is not None
    assert grant.take(1, SECONDS)[0] == 0, "it does not ask again"
    grant.close()
    assert one.affordable(SECONDS) == before


def test_an_advance_ends_with_its_budget(ledger: sqlite3.Connection) -> None:
    grant = schedule(ledger).grant(5_000)

    assert sum(grant.take(1, SECONDS)[0] for _ in range(1_100)) == 1_000
    grant.close()


def test_a_budget_of_another_release_counts_as_spent(
    ledger: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.execute("UPDATE users SET budget = x'FF0011' WHERE name = 'ops'")

    budget = accounts.load_budget(ledger, "ops", TERMS, SECONDS)

    assert budget.available(SECONDS) == 0
    assert budget.available(SECONDS + 3601) == 1_000
    assert "ops" in caplog.text


def test_a_budget_survives_clocks_that_were_set(ledger: sqlite3.Connection) -> None:
    spend(ledger, 900, 5_000)

    back = accounts.load_budget(ledger, "ops", TERMS, SECONDS - 86_400)

    assert back.available(SECONDS - 86_400) <= 100, "what was spent counts, whatever the time"
    assert back.available(SECONDS - 86_400 + 3_700) == 1_000, "and for a window at most"


def test_a_user_stays_paused_in_the_ledger_until_something_of_its_own_was_sent(
    ledger: sqlite3.Connection,
) -> None:
    def noted() -> tuple[str | None, int | None]:
        (row,) = ledger.execute("SELECT paused, paused_at FROM users").fetchall()
        return row

    one = schedule(ledger)
    for moment in (SECONDS, SECONDS + 60):
        one.ended(turns_of(3), "connect it again", moment, barren=False)
        with transaction(ledger):
            one.save(round(moment * 1e6))
        assert noted() == ("connect it again", NOW), "since it began"
        assert one.affordable(moment + 59) == 0
        assert one.next_at(moment) == moment + 60

    after_a_restart = schedule(ledger, SECONDS + 90)
    assert noted()[0] is not None
    after_a_restart.ended(turns_of(3), None, SECONDS + 91, barren=False)
    with transaction(ledger):
        after_a_restart.save(round(SECONDS * 1e6))
    assert noted() == (None, None)


def test_turns_that_come_to_nothing_are_ever_rarer_and_ask_for_more(
    ledger: sqlite3.Connection,
) -> None:
    one = schedule(ledger)
    now, rests = SECONDS, []
    for _ in range(12):
        one.ended(turns_of(1), None, now, barren=True)
        rests.append(one.next_at(now) - now)
        now = one.next_at(now)

    assert rests[0] < 1 < rests[3]
    assert rests == sorted(rests)
    assert rests[-1] == REST_MOST_SECONDS
    budget = Budget(TERMS)
    budget.take(999, now)
    with transaction(ledger):
        accounts.save_budget(ledger, "ops", budget)
    poor = schedule(ledger, now)
    assert poor.affordable(now) == 1
    poor.ended(turns_of(1), None, now, barren=True)
    assert poor.affordable(now + 1) == 0, "one was not enough"
    assert now + 1 < poor.next_at(now + 1) < now + 2, "and it does not ask in circles"


def test_the_backfill_gets_its_share_however_small_the_turns_are(
    ledger: sqlite3.Connection,
) -> None:
    for most in (1, 3, 50):
        one = schedule(ledger)
        sent = backfill = 0
        for _ in range(1_000):
            of_it = min(most, one.owed)
            one.ended(turns_of(most, of_it), None, SECONDS, barren=False)
            sent += most
            backfill += of_it

        assert backfill == pytest.approx(sent / 10, abs=6)


def test_no_share_is_saved_up_while_there_is_no_backfill(ledger: sqlite3.Connection) -> None:
    one = schedule(ledger)
    for _ in range(100):
        one.ended(turns_of(50, 0), None, SECONDS, barren=False)

    assert one.owed <= 5
