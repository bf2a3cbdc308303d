"""The guard: an audience that empties at once is held until a person lets it go."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ledger import guard
from pipeline.ledger.guard import LEAST_MEMBERS, GuardTerms, is_mass_exit
from pipeline.ledger.store import transaction
from pipeline.monitoring.alert_rules import describe
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
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
from tests.support.processes.program import replay, run, write_destination, write_lines

TERMS = GuardTerms(50.0, 3600.0)
MINUTE = HOUR // 60


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path) as connection:
        yield connection


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


def values(sandbox: Sandbox, field: str) -> dict[int, object]:
    """What a field holds, by prospect."""
    return {each: fields.get(field) for each, fields in sandbox.prospects().items()}


@pytest.mark.real
def test_replay_holds_asks_and_goes_on_once_it_is_let_go(tmp_path: Path) -> None:
    def lines(status: str, day: int, **prospects: range) -> list[str]:
        return [
            f'{{"outreach_id": {each}, "segment": "{segment}", "status": "{status}",'
            f' "event_time": "2026-01-0{day}T00:00:00Z"}}'
            for segment, some in prospects.items()
            for each in some
        ]

    with running_sandbox(SandboxOptions(prospects=40)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"left": 4, "stays": 5})
        everyone = range(1, 31)
        write_lines(tmp_path / "in.jsonl", lines("realized", 1, left=everyone, stays=everyone))
        exits = lines("exited", 2, left=range(1, 21), stays=range(1, 6))
        entries = lines("realized", 2, left=range(31, 41))
        write_lines(tmp_path / "out.jsonl", exits + entries)
        assert replay(tmp_path, "in.jsonl", more=["--ledger=l.db"]).status == 0
        before = values(sandbox, "custom4")

        asked = len(sandbox.requests())
        again = replay(tmp_path, "in.jsonl", more=["--ledger=l.db", "--dry_run"])
        assert (again.status, again.summary["unchanged"], again.summary["delivered"]) == (0, 60, 0)
        rehearsed = replay(tmp_path, "out.jsonl", more=["--ledger=l.db", "--dry_run"])
        assert (rehearsed.status, rehearsed.summary["delivered"], rehearsed.summary["kept"]) == (
            1, 5, 30,
        )  # fmt: skip
        assert "20 of its 30 known members would leave at once" in rehearsed.stderr
        assert "30 changes would not be sent; they would wait in l.db" in rehearsed.stderr
        assert len(sandbox.requests()) == asked

        stopped = replay(tmp_path, "out.jsonl", more=["--ledger=l.db"])
        assert stopped.status == 1
        ask = "outreach-activation release left --ledger l.db"
        assert "audience left: 20 of its 30 known members leave at once" in stopped.stderr
        assert ask in stopped.stderr
        # Nothing of the held audience went, entries neither; of the other all did.
        assert values(sandbox, "custom4") == before
        assert set(range(1, 6)) == {
            each for each, value in values(sandbox, "custom5").items() if value == "exited"
        }

        said = run(tmp_path, *ask.split()[1:])
        assert (said.status, said.stdout) == (
            0,
            "left is let go; 30 of its changes wait and will be sent\n",
        )
        ended = replay(tmp_path, "out.jsonl", more=["--ledger=l.db"])
        assert ended.status == 0
        assert Counter(values(sandbox, "custom4").values()) == {"exited": 20, "realized": 20}


@pytest.mark.real
def test_releasing_what_is_not_held_is_refused_with_what_is(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as connection:
        become_members(connection, range(1, 21))
        leave(connection, *range(1, 21))
    ended = run(tmp_path, "release", "seg-b", "--ledger=ledger.db")
    assert ended.status == 2
    assert "seg-b is not held; held are: 'seg-a (Audience a)'" in ended.stderr
    # By its name, as `status` shows it.
    assert run(tmp_path, "release", "audience a", "--ledger=ledger.db").status == 0
    again = run(tmp_path, "release", "seg-a", "--ledger=ledger.db")
    assert again.status == 0
    assert "was let go already" in again.stdout
    assert run(tmp_path, "release", "seg-a", "--ledger=none.db").status == 2


def test_the_command_can_be_copied_whatever_the_names_hold(ledger: sqlite3.Connection) -> None:
    ledger.execute("INSERT INTO held VALUES ('a b; rm', ?, 20, 11, NULL)", (NOW,))
    (one,) = guard.holds(ledger)
    assert one.name == "a b; rm"
    text = describe(one, "/var/my ledger.db")
    assert text.endswith("outreach-activation release 'a b; rm' --ledger '/var/my ledger.db'")
