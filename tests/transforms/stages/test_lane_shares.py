"""Lanes' shares are the whole budget together, and each prospect has a lane of its own."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.budget.lanes import budgets
from tests.transforms.budget.oracles import (
    HOUR,
    NOW,
)
from transforms.budget.shards import key_of, lane_of, share
from transforms.budget.terms import BudgetTerms
from transforms.outreach.delivery import Delivery


@given(st.integers(0, 10**9), st.integers(1, 1000))
def test_the_shares_of_all_lanes_are_the_whole_and_differ_by_one_at_most(
    whole: int, lanes: int
) -> None:
    shares = [share(whole, lane, lanes) for lane in range(lanes)]
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 40), st.integers(1, 20), st.data())
def test_the_allowances_of_all_lanes_are_the_users_allowance(
    allowance: int, reserve: int, data: st.DataObject
) -> None:
    lanes = data.draw(st.integers(1, allowance))
    found = budgets(allowance + reserve, reserve, lanes)
    assert sum(budget.allowance for budget in found) == allowance
    assert all(budget.take(1000, NOW)[0] == budget.allowance >= 1 for budget in found)


@pytest.mark.parametrize(("lane", "lanes"), [(1, 1), (-1, 2), (0, 0), (4, 4)])
def test_a_lane_that_there_is_not_is_refused(lane: int, lanes: int) -> None:
    with pytest.raises(ValueError, match=f"of {lanes} lanes there is none"):
        BudgetTerms(lane=lane, lanes=lanes)


def test_more_lanes_than_there_are_requests_are_refused() -> None:
    BudgetTerms(10, HOUR, 6, 0, 4)
    with pytest.raises(ValueError, match="4 requests cannot be shared among 5 lanes"):
        BudgetTerms(10, HOUR, 6, 0, 5)


@pytest.mark.parametrize("lanes", [0, 17])
def test_more_lanes_than_requests_in_flight_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match=f"16 requests in flight.* {lanes} lanes"):
        Delivery(lanes=lanes)


def test_a_prospect_goes_by_the_same_lane_in_every_run() -> None:
    assert [lane_of(prospect, 4) for prospect in range(1, 13)] == [
        3, 2, 3, 3, 0, 3, 2, 3, 0, 3, 0, 0,
    ]  # fmt: skip
    assert [lane_of(10**15 + prospect, 1000) for prospect in range(3)] == [114, 589, 257]


@pytest.mark.parametrize("lanes", [2, 3, 16, 64])
def test_lanes_are_equally_long_for_whatever_part_of_all_prospects(lanes: int) -> None:
    for step in (1, 2, lanes, 1000):
        prospects = 400 * lanes
        found = Counter(lane_of(number * step, lanes) for number in range(prospects))
        spread = math.sqrt(400)
        assert all(abs(found[lane] - 400) < 5 * spread for lane in range(lanes))


def test_one_lane_is_kept_under_the_users_name_and_several_under_names_of_their_own() -> None:
    assert key_of("ops", lane_of(7, 1), 1) == "ops"
    keys = [key_of("ops", lane, lanes) for lanes in (1, 2, 4) for lane in range(lanes)]
    assert len(set(keys)) == 7
    assert key_of("ops", 1, 4) == "ops 2/4"
