"""The budget against exact oracles: what a server would see, and what a window allows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms

HOUR = 3600.0
NO_WORD = RateLimits()
NOW = 1_767_225_600.0

thoroughly = settings(derandomize=True, deadline=None, max_examples=300)

# Steps of whole sixteenths add up without rounding, so that "an hour ago" is exact.
# Of every size: within a bucket, across some, across windows.
steps = st.sampled_from([1, 16, 16 * 60, 16 * 4000]).flatmap(
    lambda most: st.integers(0, most).map(lambda n: n / 16)
)
small_terms = st.builds(
    BudgetTerms,
    requests=st.integers(1, 40),
    per_seconds=st.sampled_from([60.0, 3600.0]),
    reserve=st.just(0),
)


def heard(
    budget: Budget, now: float, remaining: int | None = None, reset: float | None = None
) -> None:
    """A request that went alone is answered."""
    granted, _ = budget.take(1, now)
    assert granted == 1
    learn_last(budget, now, remaining, reset)


def learn_last(
    budget: Budget, now: float, remaining: int | None = None, reset: float | None = None
) -> None:
    sent = budget.answers
    budget.learn(RateLimits(10_000, remaining, reset), now, answers_when_sent=sent)


@pytest.mark.parametrize(
    "terms",
    [
        {"requests": 0},
        {"requests": 100, "reserve": 100},
        {"reserve": -1},
        {"per_seconds": 0},
        {"per_seconds": math.nan},
        {"per_seconds": math.inf},
    ],
)
def test_terms_that_allow_no_request_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"allows none|leaves none|span of seconds"):
        BudgetTerms(**terms)  # type: ignore[arg-type]


def test_the_default_terms_are_outreachs_limit_less_the_reserve() -> None:
    assert BudgetTerms().allowance == 9500


def test_all_that_the_window_allows_is_granted_at_once() -> None:
    budget = Budget(BudgetTerms())
    assert budget.take(9500, NOW) == (9500, 0.0)
    assert budget.take(1, NOW)[0] == 0


def test_what_is_wanted_beyond_any_budget_gets_what_there_is() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=2))
    granted, wait_seconds = budget.take(1000, NOW)
    assert granted == 8
    assert wait_seconds == HOUR


def test_nothing_wanted_is_nothing_granted() -> None:
    budget = Budget(BudgetTerms())
    assert budget.take(0, NOW) == (0, 0.0)
    assert budget.take(-5, NOW) == (0, 0.0)
    assert budget.available(NOW) == 9500


def test_a_spend_is_free_again_an_hour_after_its_answer_and_not_after_its_grant() -> None:
    budget = Budget(BudgetTerms(requests=1, reserve=0))
    budget.take(1, NOW)
    budget.learn(NO_WORD, NOW + 20, answers_when_sent=0)
    assert budget.take(1, NOW + HOUR) == (0, 20.0)
    assert budget.take(1, NOW + HOUR + 20) == (1, 0.0)


def test_a_request_without_an_answer_never_expires() -> None:
    budget = Budget(BudgetTerms(requests=1, reserve=0))
    budget.take(1, NOW)
    assert budget.available(NOW + 100 * HOUR) == 0
    budget.unanswered(NOW + 100 * HOUR)
    assert budget.available(NOW + 101 * HOUR) == 1


def test_what_was_never_sent_is_given_back() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=0))
    heard(budget, NOW, remaining=5)
    budget.take(5, NOW)
    budget.give_back(2)
    assert budget.available(NOW) == 2


@dataclass
class Played:
    """A history of requests in which each arrived at some instant of its flight."""

    budget: Budget
    now: float = NOW
    in_flight: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def end(self, which: int, arrival: float, *, answered: bool) -> None:
        taken = self.in_flight.pop(which % len(self.in_flight))
        self.arrived.append(taken + math.floor((self.now - taken) * arrival * 16) / 16)
        self.ended.append(self.now)
        if answered:
            self.budget.learn(NO_WORD, self.now, answers_when_sent=0)
        else:
            self.budget.unanswered(self.now)


Move = tuple[Any, ...]
some_move = st.one_of(
    st.tuples(st.just("pass"), steps),
    st.tuples(st.just("take"), st.integers(1, 50)),
    st.tuples(
        st.just("end"),
        st.integers(0, 100),
        st.sampled_from([0.0, 0.3, 1.0]),
        st.booleans(),
    ),
)
moves = st.lists(some_move, max_size=80)


def play(terms: BudgetTerms, history: list[Move]) -> Iterator[tuple[Played, int, int]]:
    """Yields at each take: the history so far, what was wanted and what was granted."""
    played = Played(Budget(terms))
    for move in history:
        match move:
            case ("pass", seconds):
                played.now += seconds
            case ("take", wanted):
                granted, wait_seconds = played.budget.take(wanted, played.now)
                yield played, wanted, granted
                played.in_flight += [played.now] * granted
                assert (granted == wanted) == (wait_seconds == 0)
            case ("end", which, arrival, answered) if played.in_flight:
                played.end(which, arrival, answered=answered)
    # Those without an answer may arrive at any time: first at once, then at the end.
    yield played, 0, 0


@thoroughly
@given(small_terms, moves)
def test_no_window_at_the_server_holds_more_requests_than_the_allowance(
    terms: BudgetTerms, history: list[Move]
) -> None:
    *_, (played, _, _) = play(terms, history)
    for unanswered in (played.in_flight, [played.now] * len(played.in_flight)):
        arrived = sorted(played.arrived + unanswered)
        window: deque[float] = deque()
        for arrival in arrived:
            window.append(arrival)
            while window[0] <= arrival - terms.per_seconds:
                window.popleft()
            assert len(window) <= terms.allowance


@thoroughly
@given(small_terms, moves)
def test_no_more_is_withheld_than_what_was_spent_within_a_window_and_a_bucket(
    terms: BudgetTerms, history: list[Move]
) -> None:
    width = terms.per_seconds / 360
    for played, wanted, granted in play(terms, history):
        oldest = played.now - terms.per_seconds
        counted = sum(ended > oldest - width for ended in played.ended)
        allowed = terms.allowance - len(played.in_flight) - counted
        assert granted >= min(wanted, allowed)


def test_a_steady_flow_becomes_free_again_as_steadily() -> None:
    budget = Budget(BudgetTerms(100, HOUR, 0))
    for second in range(100):
        heard(budget, NOW + second)
    for second in range(100):
        assert second - 10 <= budget.available(NOW + HOUR + second) <= second + 1


@thoroughly
@given(small_terms, moves)
def test_asking_again_after_the_seconds_told_gives_at_least_one(
    terms: BudgetTerms, history: list[Move]
) -> None:
    for played, _, _ in play(terms, history):
        if played.budget.in_flight:
            continue  # then an answer that is yet to come decides
        copy = Budget.load(played.budget.dump(), terms)
        at = copy.next_at(played.now)
        assert copy.take(1, at)[0] == 1
        if at > played.now:
            copy = Budget.load(played.budget.dump(), terms)
            assert copy.take(1, math.nextafter(at, 0)) == (0, at - math.nextafter(at, 0))


@thoroughly
@given(small_terms, moves)
def test_a_loaded_budget_goes_on_as_the_dumped_one_would(
    terms: BudgetTerms, history: list[Move]
) -> None:
    *_, (played, _, _) = play(terms, history)
    budget, copy = played.budget, Budget.load(played.budget.dump(), terms)
    assert copy.dump() == budget.dump()
    for seconds in (0, 1, 5, 30, HOUR / 2, HOUR):
        now = played.now + seconds
        assert copy.needs_probe(now) == budget.needs_probe(now)
        assert copy.take(3, now) == budget.take(3, now)
        assert repr(copy) == repr(budget)


@pytest.mark.parametrize("dumped", [b"", b"\x01", b"\xff" * 80, Budget(BudgetTerms()).dump()[:-1]])
def test_what_is_no_dump_is_refused(dumped: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a budget|cut short"):
        Budget.load(dumped, BudgetTerms())


def test_a_dump_of_a_full_hour_is_small() -> None:
    budget = Budget(BudgetTerms())
    for second in range(4000):
        budget.take(2, NOW + second)
        budget.unanswered(NOW + second + 0.5)
        budget.unanswered(NOW + second + 0.5)
    assert len(budget.dump()) < 4500


def test_a_budget_loaded_under_larger_terms_may_spend_as_they_say() -> None:
    budget = Budget(BudgetTerms(11, HOUR, 1))
    for _ in range(10):
        heard(budget, NOW, remaining=9_000, reset=NOW + HOUR)
    assert budget.available(NOW) == 0

    assert Budget.load(budget.dump(), BudgetTerms(1_000, HOUR, 0)).available(NOW) == 990


def test_a_budget_loaded_every_second_stays_small() -> None:
    budget = Budget(BudgetTerms())
    for second in range(4000):
        budget = Budget.load(budget.dump(), BudgetTerms())
        budget.take(1, NOW + second)
        budget.unanswered(NOW + second)
    assert len(budget.dump()) < 4500


def test_settled_requests_count_from_when_they_can_have_arrived_at_the_latest() -> None:
    budget = Budget(BudgetTerms(requests=3, reserve=0))
    budget.take(3, NOW)
    budget.settle(NOW + 600, within_seconds=30)
    assert budget.in_flight == 0
    assert budget.take(1, NOW + 600) == (0, HOUR - 570)
    assert budget.take(3, NOW + 30 + HOUR) == (3, 0.0)


def test_the_servers_word_overrules_the_count_downwards_at_once() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=7, reset=NOW + 600)
    assert budget.available(NOW) == 7
    assert budget.take(10, NOW) == (7, 600.0)


def test_the_servers_word_never_overrules_the_count_upwards() -> None:
    budget = Budget(BudgetTerms(requests=10, reserve=0))
    heard(budget, NOW, remaining=9999)
    assert budget.available(NOW) == 9


def test_others_may_use_the_reserve_without_costing_us_anything() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=9500)
    assert budget.available(NOW) == 9499


def test_what_others_spend_shows_in_each_answer_and_is_replaced_not_added_up() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=100)
    heard(budget, NOW + 1, remaining=50)
    heard(budget, NOW + 2, remaining=80)
    assert budget.available(NOW + 2) == 80


def test_the_servers_word_ends_at_its_reset() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=0, reset=NOW + 600)
    assert budget.take(1, NOW + 599) == (0, 1.0)
    assert budget.available(NOW + 600) == 9499


@pytest.mark.parametrize("reset", [None, NOW - 5, NOW + 2 * HOUR, math.nan, 12.0])
def test_a_reset_that_cannot_be_is_taken_for_a_window_from_now(reset: float | None) -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=0, reset=reset)
    assert budget.take(1, NOW) == (0, HOUR)


def test_a_reset_rounded_down_to_the_second_has_not_passed() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW + 0.7, remaining=0, reset=NOW)
    assert budget.available(NOW + 0.9) == 0
    assert budget.available(NOW + 1) == 9499


@pytest.mark.parametrize(("limit", "allowance"), [(2000, 1500), (500, 1), (20_000, 9500)])
def test_a_lower_limit_of_the_server_takes_the_place_of_the_terms(
    limit: int, allowance: int
) -> None:
    budget = Budget(BudgetTerms())
    budget.take(1, NOW)
    budget.learn(RateLimits(limit, None, None), NOW, answers_when_sent=0)
    assert budget.allowance == allowance
    assert Budget.load(budget.dump(), BudgetTerms()).allowance == allowance
    budget.learn(RateLimits(10_000, None, None), NOW, answers_when_sent=1)
    assert budget.allowance == 9500


def test_an_answer_does_not_count_what_the_server_had_yet_to_see() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=11)
    budget.take(10, NOW)
    sent = budget.answers
    budget.learn(RateLimits(10_000, 10, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 1  # 10 were left, and 9 are on their way


def test_answers_that_overtake_each_other_do_not_raise_what_is_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=20)
    budget.take(3, NOW)
    sent = budget.answers
    for remaining in (17, 19, 18):
        budget.learn(RateLimits(10_000, remaining, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 17


def test_a_low_count_of_the_servers_last_hour_is_void_in_its_next() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=2, reset=NOW + 10)
    budget.take(2, NOW + 9)
    sent = budget.answers
    budget.learn(RateLimits(10_000, 1, NOW + 10), NOW + 9.5, answers_when_sent=sent)
    budget.learn(RateLimits(10_000, 700, NOW + HOUR), NOW + 11, answers_when_sent=sent)
    assert budget.available(NOW + 11) == 700


def test_a_request_that_ended_unanswered_is_one_less_that_the_server_has_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=7)
    budget.take(5, NOW)
    for _ in range(3):
        budget.unanswered(NOW)
    assert budget.available(NOW) == 2
    budget.settle(NOW)
    assert budget.available(NOW) == 2


def test_a_request_that_ended_unanswered_may_be_missing_from_what_is_left() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=20)
    budget.take(2, NOW)
    sent = budget.answers
    budget.unanswered(NOW)
    budget.learn(RateLimits(10_000, 19, None), NOW, answers_when_sent=sent)
    assert budget.available(NOW) == 18
    heard(budget, NOW, remaining=17)
    assert budget.available(NOW) == 17


@dataclass
class Server:
    """A user's limit as a server counts it, fixed or sliding."""

    limit: int
    per_seconds: float
    sliding: bool
    spends: deque[float] = field(default_factory=deque)

    def left(self, now: float) -> int:
        while self.spends and self.spends[0] <= self.start(now):
            self.spends.popleft()
        return self.limit - len(self.spends)

    def start(self, now: float) -> float:
        if self.sliding:
            return now - self.per_seconds
        # Half a step before the window opens: what is spent on the hour is of that hour.
        return now - now % self.per_seconds - 1 / 32

    def spend(self, now: float) -> tuple[bool, RateLimits]:
        allowed = self.left(now) > 0
        if allowed:
            self.spends.append(now)
        reset = self.spends[0] + self.per_seconds if self.sliding else self._next_hour(now)
        return allowed, RateLimits(self.limit, self.left(now), math.ceil(reset))

    def _next_hour(self, now: float) -> float:
        return now - now % self.per_seconds + self.per_seconds


@dataclass
class Client:
    """Sends as a sender does: a probe alone, otherwise all that is granted."""

    budget: Budget
    server: Server
    now: float
    in_flight: list[tuple[int, bool, RateLimits | None]] = field(default_factory=list)
    refused: int = 0

    def send(self, wanted: int) -> None:
        probe = self.budget.needs_probe(self.now)
        if probe and self.in_flight:
            return
        granted, _ = self.budget.take(1 if probe else wanted, self.now)
        self.in_flight += [(self.budget.answers, probe, None)] * granted

    def arrive(self, which: int) -> None:
        which %= len(self.in_flight)
        sent, probe, limits = self.in_flight[which]
        if limits is None:
            allowed, limits = self.server.spend(self.now)
            self.in_flight[which] = (sent, probe, limits)
            if not allowed:
                assert probe, "only a request that went alone may find the budget spent by others"
                self.refused += 1

    def answer(self, which: int) -> None:
        self.arrive(which)
        sent, _, limits = self.in_flight.pop(which % len(self.in_flight))
        assert limits is not None
        self.budget.learn(limits, self.now, answers_when_sent=sent)
        if self.refused:
            self.refused = 0
            self.budget.exhausted(limits.reset or 0.0, self.now)


@thoroughly
@given(
    st.integers(5, 30),
    st.integers(0, 4),
    st.booleans(),
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 40)),
            st.tuples(st.just("arrive"), st.integers(0, 100)),
            st.tuples(st.just("answer"), st.integers(0, 100)),
            st.tuples(st.just("pass"), st.integers(0, 16 * 20)),
            st.tuples(st.just("others"), st.integers(1, 40)),
        ),
        max_size=150,
    ),
)
def test_no_answer_is_429_while_others_spend_only_in_our_pauses(
    limit: int,
    reserve: int,
    sliding: bool,
    history: list[tuple[str, int]],
) -> None:
    server = Server(limit, 600.0, sliding)
    client = Client(Budget(BudgetTerms(limit, 600.0, reserve)), server, NOW)
    for move, number in history:
        match move:
            case "send":
                client.send(number)
            case "arrive" | "answer" if client.in_flight:
                getattr(client, move)(number)
            case "pass":
                client.now += number / 16
            case "others" if not client.in_flight:
                for _ in range(min(number, server.left(client.now))):
                    server.spend(client.now)
                client.now += 10.5  # longer than a sixtieth of the window: a pause


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("latency_seconds", [1 / 16, 2.0, 30.0])
def test_a_backlog_gets_nearly_all_that_a_server_allows(
    sliding: bool, latency_seconds: float
) -> None:
    server = Server(600, 600.0, sliding)
    budget = Budget(BudgetTerms(600, 600.0, 0))
    client = Client(budget, server, NOW + 100)
    accepted = 0
    while client.now < NOW + 3100:
        while budget.available(client.now) and len(client.in_flight) < 16:
            before = len(client.in_flight)
            client.send(1)
            if len(client.in_flight) == before:
                break
        if client.in_flight:
            client.now += latency_seconds / len(client.in_flight)
            client.answer(0)
            accepted += 1
        else:
            client.now = budget.next_at(client.now)
    # Five windows of 600, or what the latency lets through.
    assert accepted >= min(5 * 600 - 16, 0.9 * 3000 / latency_seconds * 16)


def test_after_a_429_nothing_is_granted_until_the_server_says() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW)
    budget.exhausted(NOW + 90, NOW)
    assert budget.take(5, NOW + 89) == (0, 1.0)
    assert budget.take(5, NOW + 90) == (5, 0.0)


def test_a_429_holds_for_a_second_at_least_and_for_a_window_at_most() -> None:
    budget = Budget(BudgetTerms())
    budget.exhausted(NOW - 50, NOW)
    assert budget.next_at(NOW) == NOW + 1
    budget.exhausted(NOW + 10 * HOUR, NOW)
    assert budget.next_at(NOW) == NOW + HOUR


def test_a_server_whose_clock_is_behind_is_asked_less_and_less() -> None:
    budget = Budget(BudgetTerms())
    now, waits = NOW, []
    for _ in range(9):
        budget.exhausted(now - 300, now)
        waits.append(budget.next_at(now) - now)
        now = budget.next_at(now) + 0.25
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    budget.exhausted(now + 600, now + 600)
    assert budget.next_at(now + 600) == now + 601


def test_one_storm_of_429s_is_one_wait() -> None:
    budget = Budget(BudgetTerms())
    for part in range(16):
        budget.exhausted(NOW, NOW + part / 100)
    assert budget.next_at(NOW) == NOW + 1.15


def test_a_request_goes_alone_at_first_after_a_pause_and_after_a_429() -> None:
    budget = Budget(BudgetTerms())
    assert budget.needs_probe(NOW)
    budget.take(1, NOW)
    assert budget.needs_probe(NOW)
    learn_last(budget, NOW + 1)
    assert not budget.needs_probe(NOW + 61)
    assert budget.needs_probe(NOW + 62)
    budget.take(1, NOW + 62)
    assert budget.needs_probe(NOW + 62)
    learn_last(budget, NOW + 63)
    assert not budget.needs_probe(NOW + 63)
    budget.exhausted(NOW + 70, NOW + 63)
    assert budget.needs_probe(NOW + 70)


def test_an_answer_to_what_was_sent_before_a_429_is_no_probe() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW)
    budget.take(2, NOW)
    sent = budget.answers
    budget.learn(NO_WORD, NOW, answers_when_sent=sent)
    budget.exhausted(NOW + 5, NOW)
    budget.learn(NO_WORD, NOW + 1, answers_when_sent=sent)
    assert budget.needs_probe(NOW + 5)


def test_a_slow_server_is_no_pause() -> None:
    budget = Budget(BudgetTerms(100, 60.0, 0))
    heard(budget, NOW)
    budget.take(5, NOW)
    assert not budget.needs_probe(NOW + 30)


def test_a_probe_without_an_answer_is_to_be_repeated() -> None:
    budget = Budget(BudgetTerms())
    budget.take(1, NOW)
    budget.unanswered(NOW + 30)
    assert budget.needs_probe(NOW + 30)


@thoroughly
@given(small_terms, moves, st.integers(1, 16 * 2 * 86_400).map(lambda n: n / 16))
def test_a_clock_set_back_grants_nothing_too_early(
    terms: BudgetTerms, history: list[Move], back: float
) -> None:
    *_, (played, _, _) = play(terms, history)
    if played.in_flight:
        played.end(0, 1.0, answered=True)
    ended, budget = played.ended, played.budget
    for seconds in (0.0, 1.0, terms.per_seconds / 2, terms.per_seconds, 3 * terms.per_seconds):
        real = played.now + seconds
        young = sum(end > real - terms.per_seconds for end in ended)
        assert budget.available(real - back) <= terms.allowance - young - budget.in_flight
    assert budget.available(real - back) == terms.allowance - budget.in_flight


@thoroughly
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_callers_whose_clocks_disagree_a_little_get_no_more(offsets: list[float]) -> None:
    budget = Budget(BudgetTerms(100, HOUR, 0))
    for offset in offsets:
        budget.take(1, NOW + offset)
        budget.unanswered(NOW + offset)
    latest = max(offsets)
    assert budget.available(NOW + latest + HOUR - 0.001) < 100
    assert budget.available(NOW + latest + HOUR) == 100


def test_a_budget_can_be_read_by_people() -> None:
    budget = Budget(BudgetTerms())
    heard(budget, NOW, remaining=42)
    budget.take(2, NOW)
    assert repr(budget) == (
        "Budget(allowance=9500 per 3600 s, spent=1, in_flight=2, server_left=40)"
    )


def test_waits_come_in_the_order_in_which_spends_become_free() -> None:
    budget = Budget(BudgetTerms(4, HOUR, 0))
    for at in (0, 100, 200, 300):
        heard(budget, NOW + at)
    freed = []
    now = NOW + 300
    for _ in range(4):
        now = budget.next_at(now)
        freed.append(now - NOW)
        assert budget.take(1, now)[0] == 1
    assert all(later - sooner == 100 for sooner, later in pairwise(freed))
    assert freed[0] == HOUR
