"""Patience: when nothing is sent for the server's sake, and why not."""

from __future__ import annotations

import pytest

from transforms.outreach import backoff
from transforms.outreach.backoff import (
    BACKOFF_MOST_SECONDS,
    HOLD_MOST_SECONDS,
    CircuitBreaker,
    retry_time,
)

NOW = 1_800_000_000.0


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jitter: each wait is as long as it may be."""
    monkeypatch.setattr(backoff.random, "uniform", lambda _, most: most)


def met(times: int, enough: int = 3) -> CircuitBreaker:
    some = CircuitBreaker(enough)
    for _ in range(times):
        some.meet("500", NOW)
    return some


def test_a_little_trouble_holds_nothing_up() -> None:
    some = met(2)

    assert not some.exhausted
    assert some.held_until < NOW
    assert some.last_trouble == "500"


@pytest.mark.usefixtures("longest")
def test_much_trouble_in_a_row_holds_all_up_longer_each_time_but_never_for_long() -> None:
    some = met(3)
    waits = [some.held_until - NOW]
    for _ in range(12):
        some.meet("500", some.held_until)
        waits.append(some.held_until - NOW - sum(waits))

    assert some.exhausted
    assert some.held_for == "500"
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waits) == waits[-1] == BACKOFF_MOST_SECONDS


def test_one_good_answer_ends_the_trouble() -> None:
    some = met(30)

    some.restore()

    assert not some.exhausted
    some.meet("500", NOW)
    assert not some.exhausted


def test_what_is_announced_is_waited_for_at_once_and_one_request_asks_again() -> None:
    some = CircuitBreaker(3)

    some.refrain("maintenance", NOW, NOW + 90)

    assert (some.held_until, some.held_for) == (NOW + 90, "maintenance")
    assert some.exhausted


def test_a_later_shorter_wait_takes_no_reason_away() -> None:
    some = CircuitBreaker(1)
    some.refrain("maintenance", NOW, NOW + 90)

    some.meet("a reset", NOW + 1)

    assert (some.held_until, some.held_for) == (NOW + 90, "maintenance")
    assert some.last_trouble == "a reset"


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize("retry_at", [None, NOW - 1000, NOW])
def test_what_names_no_time_to_come_is_waited_for_longer_each_time(
    retry_at: float | None,
) -> None:
    some = CircuitBreaker(3)
    waits = []
    now = NOW
    for _ in range(4):
        some.refrain("maintenance", now, retry_at)
        waits.append(some.held_until - now)
        now = some.held_until

    assert waits == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.usefixtures("longest")
def test_sixteen_answers_at_once_are_one_trouble() -> None:
    some = CircuitBreaker(16)

    for _ in range(16):
        some.refrain("maintenance", NOW)

    assert some.held_until == NOW + 0.5


def test_a_server_that_wants_to_be_left_alone_for_years_is_asked_after_an_hour() -> None:
    some = CircuitBreaker(3)

    some.refrain("maintenance", NOW, NOW + 1e9)

    assert some.held_until == NOW + HOLD_MOST_SECONDS
    assert retry_time(1, NOW, NOW + 1e9) == NOW + HOLD_MOST_SECONDS


def test_those_who_met_the_same_trouble_do_not_come_back_together() -> None:
    times = {retry_time(5, NOW, None) for _ in range(50)}

    assert len(times) > 40
    assert all(NOW <= at <= NOW + 16 for at in times)
    assert max(times) > NOW + 8


def test_no_number_of_attempts_is_too_large() -> None:
    assert retry_time(100_000, NOW, None) <= NOW + BACKOFF_MOST_SECONDS
