"""A budget is spent evenly while more keeps coming than any window takes, and at once else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from transforms.budget.budget import Budget
from transforms.budget.even_pace import EvenPace
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms

HOUR = 3_600.0
ALLOWANCE = 3_600
TOLD_NOTHING = RateLimits(None, None, None)


class Queue:
    """A queue of one user, of which each second what is allowed is sent and answered.

    Args:
      prospects: how many there are; changes of one that waits already merge.
    """

    def __init__(self, prospects: int = 10**6) -> None:
        self.prospects = prospects
        self.budget = Budget(BudgetTerms(ALLOWANCE, HOUR, reserve=0))
        self.pace = EvenPace(self.budget)
        self.waiting = 0
        self.now = 0.0
        self.sent: list[int] = []

    def run(self, arrivals: Iterable[int]) -> None:
        for changed in arrivals:
            came = min(changed, self.prospects - self.waiting)
            self.waiting += came
            self.pace.note(came, self.waiting, self.now)
            wanted = min(self.waiting, self.pace.allowed(self.now))
            granted, _ = self.budget.take(wanted, self.now) if wanted else (0, 0.0)
            self.pace.spent(granted, self.now)
            for _ in range(granted):
                self.budget.learn(TOLD_NOTHING, self.now, answers_when_sent=self.budget.answers)
            self.waiting -= granted
            self.sent.append(granted)
            self.now += 1.0


def longest_gap(sent: Iterable[int]) -> int:
    """The most seconds in a row in which nothing was sent."""
    longest = gap = 0
    for count in sent:
        gap = 0 if count else gap + 1
        longest = max(longest, gap)
    return longest


@pytest.mark.parametrize("each_second", [2, 3])
def test_a_stream_that_never_fits_is_sent_without_a_pause(each_second: int) -> None:
    queue = Queue(prospects=1_000)

    queue.run([each_second] * int(3 * HOUR))

    assert queue.pace.is_even
    assert longest_gap(queue.sent) <= 10
    assert sum(queue.sent) >= 0.99 * 3 * ALLOWANCE


@pytest.mark.parametrize(
    "arrivals",
    [
        [ALLOWANCE],
        [12] * 300,
        [1] * 3_000,
        [60 if second % 60 == 0 else 0 for second in range(3_000)],
    ],
    ids=["all in a second", "in five minutes", "just as fast as it may be", "each minute"],
)
def test_what_fits_is_sent_when_it_comes(arrivals: list[int]) -> None:
    queue = Queue()

    queue.run(arrivals)

    assert queue.sent == arrivals


def test_what_came_fast_and_fits_is_sent_two_minutes_after_it_ended() -> None:
    queue = Queue()
    queue.run([4] * 600)
    assert queue.waiting > 500

    queue.run([0] * 181)

    assert queue.waiting == 0


def test_more_than_a_window_takes_is_sent_as_fast_as_the_window_allows() -> None:
    queue = Queue()

    queue.run([2 * ALLOWANCE] + [2] * 600)

    assert queue.sent[0] == ALLOWANCE
    assert not queue.pace.is_even


def test_after_a_long_silence_nothing_is_thought_to_have_come() -> None:
    queue = Queue()
    queue.run([3] * 290)
    queue.now += HOUR / 4

    queue.run([3] * 30)

    assert queue.sent[-30:] == [3] * 30


def test_a_clock_that_is_set_back_withholds_nothing_for_long() -> None:
    queue = Queue()
    queue.run([3] * 900)
    assert queue.pace.is_even
    queue.now -= HOUR

    queue.run([3] * 300)

    assert longest_gap(queue.sent[-200:]) <= 10


@pytest.mark.parametrize("stops_at", [100, 299, 1_200])
def test_a_pace_that_is_written_down_and_read_again_goes_on_as_it_was(stops_at: int) -> None:
    kept, again = Queue(prospects=1_000), Queue(prospects=1_000)
    kept.run([3] * 1_500)

    again.run([3] * stops_at)
    again.pace = EvenPace.load(again.pace.dump(), again.budget)
    again.run([3] * (1_500 - stops_at))

    assert again.sent == kept.sent


def test_a_pace_of_another_window_is_not_gone_on_with() -> None:
    queue = Queue(prospects=1_000)
    queue.run([3] * 900)
    assert queue.pace.is_even

    shorter = EvenPace.load(queue.pace.dump(), Budget(BudgetTerms(ALLOWANCE, HOUR / 2, reserve=0)))

    assert not shorter.is_even


@pytest.mark.parametrize("dumped", [b"", b"\x09" + bytes(25), bytes(27)])
def test_what_is_no_pace_is_refused(dumped: bytes) -> None:
    with pytest.raises(ValueError, match="pace"):
        EvenPace.load(dumped, Budget(BudgetTerms()))


def test_requests_that_were_taken_and_not_sent_may_be_spent_again_at_once() -> None:
    queue = Queue(prospects=1_000)
    queue.run([3] * 900)
    taken, _ = queue.pace.take(50, queue.now + 30)
    assert taken > 10

    queue.budget.give_back(taken)
    queue.pace.give_back(taken, queue.now + 30)

    assert queue.pace.take(50, queue.now + 30)[0] == pytest.approx(taken, abs=1)


def test_none_are_taken_before_so_many_may_be_spent_as_are_wanted_at_least() -> None:
    queue = Queue(prospects=1_000)
    queue.run([3] * 900)

    taken, wait_seconds = queue.pace.take(50, queue.now, least=20)

    assert taken == 0
    assert wait_seconds == pytest.approx(20.0, abs=5.0)
    assert queue.pace.take(50, queue.now + wait_seconds, least=20)[0] in {19, 20}
