"""The guard: an audience that empties at once is held until a person lets it go."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ledger import guard
from pipeline.ledger.guard import LEAST_MEMBERS, GuardTerms, is_mass_exit
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    arrive,
    become_members,
    deliver,
    held,
    member,
    new_ledger,
)

TERMS = GuardTerms(50.0, 3600.0)
MINUTE = HOUR // 60


def leave(connection: sqlite3.Connection, *prospects: int, now: int = NOW) -> None:
    arrive(connection, [member(each, "exited") for each in prospects], now=now, terms=TERMS)


def end_waves(connection: sqlite3.Connection, now: int) -> None:
    with transaction(connection):
        guard.end_waves(connection, TERMS, now)


def release(connection: sqlite3.Connection, now: int) -> None:
    with transaction(connection):
        assert guard.release(connection, "seg-a", now) is not None


@pytest.mark.parametrize(
    ("members", "exits", "percent", "too_many"),
    [
        (100, 50, 50, False),
        (100, 51, 50, True),
        (3, 2, 50, False),
        (LEAST_MEMBERS - 1, LEAST_MEMBERS - 1, 50, False),
        (LEAST_MEMBERS, LEAST_MEMBERS, 50, True),
        (1000, 6, 0.5, True),
        (1000, 5, 0.5, False),
        (100, 100, 100, False),
        (0, 0, 50, False),
    ],
)
def test_too_many_is_more_than_the_share_of_an_audience_that_is_not_tiny(
    members: int, exits: int, percent: float, too_many: bool
) -> None:
    assert is_mass_exit(members, exits, percent) is too_many


def test_an_audience_is_held_by_the_exit_that_is_one_too_many(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    leave(ledger, *range(1, 11))
    assert held(ledger) == []
    leave(ledger, 11)
    (one,) = guard.holds(ledger)
    assert (one.segment, one.name, one.members, one.exits) == ("seg-a", "Audience a", 20, 11)
    leave(ledger, 12, 13)
    assert guard.holds(ledger)[0].exits == 13


def test_exits_that_were_sent_already_count_with_those_that_wait(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 21))
    leave(ledger, *range(1, 8))
    deliver(ledger)
    leave(ledger, *range(8, 12))
    assert [(each.members, each.exits) for each in guard.holds(ledger)] == [(20, 11)]


def test_whoever_left_before_the_window_is_no_member_any_more(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 31))
    leave(ledger, *range(1, 11), now=NOW)
    deliver(ledger)
    leave(ledger, *range(11, 21), now=NOW + HOUR + 1)
    assert held(ledger) == []
    leave(ledger, 21, now=NOW + HOUR + 1)
    assert [(each.members, each.exits) for each in guard.holds(ledger)] == [(20, 11)]


def test_an_audience_nobody_was_delivered_of_cannot_empty(ledger: sqlite3.Connection) -> None:
    leave(ledger, *range(1, 101))
    arrive(ledger, [member(each, "realized") for each in range(1, 51)], terms=TERMS)
    leave(ledger, *range(1, 51))
    assert held(ledger) == []


def test_an_exit_that_is_said_again_is_one_exit(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    for _ in range(3):
        leave(ledger, *range(1, 11))
    deliver(ledger)
    leave(ledger, *range(1, 11))
    assert held(ledger) == []


def test_an_exit_that_is_sent_again_is_of_nobody_who_is_a_member(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 41))
    for hours, some in ((0, range(1, 21)), (2, range(21, 31))):
        leave(ledger, *some, now=NOW + hours * HOUR)
        deliver(ledger)
    again = [member(each, "exited")._replace(retry=True) for each in range(1, 31)]
    arrive(ledger, again, now=NOW + 4 * HOUR, terms=TERMS)
    assert held(ledger) == []


def test_an_older_exit_that_changes_nothing_is_none(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    stale = [member(each, "exited", time=NOW - HOUR) for each in range(1, 21)]
    arrive(ledger, stale, terms=TERMS)
    assert held(ledger) == []


def test_whoever_came_back_has_not_left(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    leave(ledger, *range(1, 11))
    arrive(ledger, [member(1, "realized"), member(2, "existing")], terms=TERMS)
    leave(ledger, 11, 12)
    assert held(ledger) == []
    leave(ledger, 1)
    assert held(ledger) == ["seg-a"]


def test_other_audiences_are_not_held(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21), "seg-a")
    become_members(ledger, range(1, 41), "seg-b")
    exits = [
        member(each, "exited", segment) for each in range(1, 21) for segment in ("seg-a", "seg-b")
    ]
    arrive(ledger, exits, terms=TERMS)
    assert held(ledger) == ["seg-a"]


def test_100_percent_never_holds(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    exits = [member(each, "exited") for each in range(1, 21)]
    arrive(ledger, exits, terms=GuardTerms(100.0, 3600.0))
    assert held(ledger) == []


def test_a_held_audience_stays_held_however_long_nobody_looks(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    leave(ledger, *range(1, 12))
    for hours in (1, 24, 24 * 30):
        end_waves(ledger, NOW + hours * HOUR)
        leave(ledger, 12, now=NOW + hours * HOUR)
        assert held(ledger) == ["seg-a"]


def test_a_release_lasts_for_the_wave_and_no_longer(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 41))
    leave(ledger, *range(1, 22))
    release(ledger, NOW + 5 * HOUR)
    deliver(ledger)
    # The rest of the wave, some of it after the window of its first part.
    leave(ledger, *range(22, 31), now=NOW + 5 * HOUR + 50 * MINUTE)
    assert held(ledger) == []
    deliver(ledger)
    become_members(ledger, range(101, 131))
    end_waves(ledger, NOW + 5 * HOUR + 59 * MINUTE)
    assert len(guard.holds(ledger)) == 1
    end_waves(ledger, NOW + 6 * HOUR)
    assert guard.holds(ledger) == []
    leave(ledger, *range(101, 131), now=NOW + 9 * HOUR)
    assert held(ledger) == ["seg-a"]


def test_a_release_ends_with_its_wave_even_if_nobody_looked_after_it(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 41))
    leave(ledger, *range(1, 22))
    release(ledger, NOW)
    deliver(ledger)
    leave(ledger, *range(22, 41), now=NOW + 9 * HOUR)
    assert held(ledger) == ["seg-a"]


def test_a_wave_that_goes_on_for_hours_is_released_once(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 101))
    leave(ledger, *range(1, 61))
    release(ledger, NOW)
    for minutes in range(0, 300, 30):
        deliver(ledger)
        first = 61 + minutes // 10
        leave(ledger, first, first + 1, first + 2, now=NOW + minutes * MINUTE)
        end_waves(ledger, NOW + minutes * MINUTE)
        assert held(ledger) == []


# Per step: who, what happens, and minutes that pass before it.
STEPS = st.lists(
    st.tuples(
        st.sets(st.integers(1, 16), min_size=1),
        st.sampled_from(["realized", "exited", "deliver"]),
        st.integers(0, 40),
    ),
    max_size=14,
)


@given(STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_history_is_counted_as_an_oracle_counts_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[set[int], str, int]]
) -> None:
    known = dict.fromkeys(range(1, 15), "realized")
    waiting: dict[int, str] = {}
    left: dict[int, int] = {}
    now, is_held = NOW, False
    with new_ledger(tmp_path_factory.mktemp("any")) as ledger:
        become_members(ledger, known)
        for prospects, step, minutes in steps:
            now += minutes * MINUTE
            if step == "deliver":
                deliver(ledger, now=now, prospects=prospects)
                for each in () if is_held else prospects & waiting.keys():
                    known[each] = waiting.pop(each)
                continue
            arrive(ledger, [member(each, step) for each in prospects], now=now, terms=TERMS)
            for each in prospects:
                if known.get(each) == step:
                    waiting.pop(each, None)
                else:
                    waiting[each] = step
            if step == "exited":
                left = {each: at for each, at in left.items() if now - at <= HOUR}
                for each in prospects:
                    if waiting.get(each) == "exited" and known.get(each) == "realized":
                        left.setdefault(each, now)
                members = {each for each, status in known.items() if status == "realized"}
                is_held |= is_mass_exit(len(members | left.keys()), len(left), 50.0)
            else:
                for each in prospects:
                    left.pop(each, None)
            assert (held(ledger) == ["seg-a"]) is is_held
