"""Lanes: shares of one budget, each kept by itself, that together are the whole budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.budget.lanes import budgets, counts_of_lanes
from tests.transforms.budget.oracles import (
    HOUR,
    NOW,
    Client,
    Move,
    Played,
    Server,
    heard,
    learn_last,
    some_move,
    thoroughly,
)
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.shards import share_left
from transforms.budget.terms import BudgetTerms


@thoroughly
@given(
    st.integers(1, 40),
    counts_of_lanes,
    st.lists(st.tuples(st.integers(0, 7), some_move), max_size=150),
)
def test_no_window_at_the_server_holds_more_of_all_lanes_than_the_allowance(
    allowance: int, lanes: int, history: list[tuple[int, Move]]
) -> None:
    lanes = min(lanes, allowance)
    played = [Played(budget) for budget in budgets(allowance, 0, lanes)]
    now = NOW
    for number, move in history:
        one = played[number % lanes]
        one.now = now
        match move:
            case ("pass", seconds):
                now += seconds
            case ("take", wanted):
                one.in_flight += [now] * one.budget.take(wanted, now)[0]
            case ("end", which, arrival, answered) if one.in_flight:
                one.end(which, arrival, answered=answered)
    unanswered = [now for one in played for _ in one.in_flight]
    window: deque[float] = deque()
    for arrival in sorted([at for one in played for at in one.arrived] + unanswered):
        window.append(arrival)
        while window[0] <= arrival - HOUR:
            window.popleft()
        assert len(window) <= allowance


class Crowd:
    """The lanes of one user, at one server, by one clock."""

    def __init__(self, server: Server, reserve: int, lanes: int) -> None:
        self.server = server
        self.now = NOW
        self.lanes = [
            Client(budget, server, NOW)
            for budget in budgets(server.limit, reserve, lanes, server.per_seconds)
        ]
        self.refused = 0

    def __iter__(self) -> Iterator[Client]:
        for lane in self.lanes:
            lane.now = self.now
            yield lane

    def lane(self, number: int) -> Client:
        return list(self)[number % len(self.lanes)]

    def arrive(self, lane: Client, which: int) -> None:
        """A request arrives, whichever it is; unlike a single one, it may be refused."""
        which %= len(lane.in_flight)
        sent, probe, limits = lane.in_flight[which]
        if limits is None:
            allowed, limits = self.server.spend(self.now)
            lane.refused += not allowed
            self.refused += not allowed
            lane.in_flight[which] = (sent, probe, limits)

    def answer(self, lane: Client, which: int) -> None:
        self.arrive(lane, which)
        lane.answer(which)

    def spend_all(self, most_in_flight: int, until: float, latency_seconds: float = 0.25) -> int:
        """Every lane sends what it may, as it may, until a time; returns what was accepted."""
        ended = 0
        while self.now < until:
            for lane in self:
                fill(lane, most_in_flight // len(self.lanes))
            flying = [lane for lane in self.lanes if lane.in_flight]
            if flying:
                self.now += latency_seconds / sum(len(lane.in_flight) for lane in flying)
                for lane in self:
                    if lane.in_flight:
                        self.answer(lane, 0)
                        ended += 1
            else:
                self.now = min(lane.budget.next_at(self.now) for lane in self.lanes)
        return ended - self.refused


def fill(lane: Client, most_in_flight: int) -> None:
    """Sends one after the other, as a sender does, while it may."""
    before = -1
    while before < len(lane.in_flight) < most_in_flight:
        before = len(lane.in_flight)
        lane.send(1)


@thoroughly
@given(
    st.integers(8, 40),
    st.integers(0, 4),
    st.booleans(),
    counts_of_lanes,
    st.lists(
        st.tuples(
            st.integers(0, 7),
            st.sampled_from(["send", "arrive", "answer", "pass"]),
            st.integers(0, 16 * 20),
        ),
        max_size=200,
    ),
)
def test_no_answer_to_any_lane_is_429_while_nobody_else_spends(
    limit: int, reserve: int, sliding: bool, lanes: int, history: list[tuple[int, str, int]]
) -> None:
    lanes = min(lanes, limit - reserve)
    crowd = Crowd(Server(limit, 600.0, sliding), reserve, lanes)
    for which, move, number in history:
        lane = crowd.lane(which)
        match move:
            case "send":
                lane.send(number)
            case "arrive" | "answer" if lane.in_flight:
                getattr(crowd, move)(lane, number)
            case "pass":
                crowd.now += number / 16
    assert crowd.refused == 0


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("latency_seconds", [1 / 16, 2.0])
def test_the_backlogs_of_all_lanes_get_nearly_all_that_a_server_allows_and_no_429(
    sliding: bool, lanes: int, latency_seconds: float
) -> None:
    crowd = Crowd(Server(601, 600.0, sliding), 0, lanes)
    crowd.now += 100  # five windows end in the time that follows, fixed or sliding

    accepted = crowd.spend_all(16, NOW + 3100, latency_seconds)

    assert crowd.refused == 0
    assert accepted >= 5 * 601 - 16


@pytest.mark.parametrize("lanes", [2, 3, 8])
def test_a_lane_may_spend_all_its_own_though_the_others_spent_all_theirs(lanes: int) -> None:
    crowd = Crowd(Server(100, HOUR, sliding=True), 0, lanes)
    for late in crowd.lanes:
        while late.in_flight or late.budget.available(crowd.now):
            fill(late, 16)
            crowd.answer(late, 0)
    assert crowd.server.left(NOW) == 0
    assert crowd.refused == 0


@given(st.integers(0, 200), counts_of_lanes)
def test_of_what_the_server_says_is_left_no_lane_takes_anothers_share(
    left: int, lanes: int
) -> None:
    found = budgets(200, 0, lanes)
    for budget in found:
        heard(budget, NOW, remaining=left)
    allowed = [budget.available(NOW) for budget in found]
    if left >= lanes:
        own = sum(budget.allowance - 1 for budget in found)
        assert min(left, own) - lanes < sum(allowed) <= left
    else:
        assert allowed == [min(left, 1)] * lanes


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_what_strangers_leave_is_used_to_the_last_request_and_few_meet_a_429(
    sliding: bool, lanes: int
) -> None:
    server = Server(1000, HOUR, sliding)
    for _ in range(800):
        server.spend(NOW)
    crowd = Crowd(server, 0, lanes)

    accepted = crowd.spend_all(16, NOW + HOUR / 2)

    assert accepted == 200
    assert crowd.refused < lanes


@given(st.integers(1, 200), st.integers(2, 8), st.integers(0, 59))
def test_a_lane_that_heard_a_while_ago_meets_no_more_429s_than_it_has_in_flight(
    left: int, lanes: int, seconds: int
) -> None:
    server = Server(200 + left, HOUR, sliding=True)
    for _ in range(200):
        server.spend(NOW)
    crowd = Crowd(server, 0, lanes)
    late, *others = crowd.lanes
    fill(late, 1)
    crowd.answer(late, 0)
    for other in others:
        while other.in_flight or other.budget.available(crowd.now):
            fill(other, 4)
            crowd.answer(other, 0)
    crowd.now += seconds
    before = crowd.refused
    late.now = crowd.now
    while late.in_flight or late.budget.available(crowd.now):
        fill(late, 4)
        crowd.answer(late, 0)
    assert crowd.refused - before <= 4
    assert crowd.refused < 4 * lanes


def test_a_request_without_an_answer_costs_one_of_what_is_left_and_not_a_lanes_share() -> None:
    budget = Budget(BudgetTerms(800, HOUR, 0, 0, 8))
    heard(budget, NOW, remaining=41)
    assert budget.take(10, NOW)[0] == 6
    for _ in range(6):
        budget.unanswered(NOW)
    assert budget.available(NOW) == share_left(35, 0, 8) == 5


def test_a_lanes_budget_that_is_loaded_goes_on_as_the_dumped_one_would() -> None:
    terms = BudgetTerms(800, HOUR, 0, 3, 8)
    budget = Budget(terms)
    heard(budget, NOW, remaining=40)
    budget.take(3, NOW)
    copy = Budget.load(budget.dump(), terms)
    for each in (budget, copy):
        learn_last(each, NOW + 1, remaining=30)
    assert repr(copy) == repr(budget)
    assert copy.take(9, NOW + 1) == budget.take(9, NOW + 1)
    assert copy.dump() == budget.dump()


def test_a_lower_limit_of_the_server_is_shared_too_and_leaves_each_lane_one() -> None:
    for limit, allowances in ((22, [3, 3, 3, 3]), (17, [2, 2, 2, 1]), (11, [1, 1, 1, 1])):
        found = budgets(1000, 10, 4)
        for budget in found:
            budget.take(1, NOW)
            budget.learn(RateLimits(limit, None, None), NOW, answers_when_sent=0)
        assert [budget.allowance for budget in found] == allowances
