"""The simulation of scale: no change is lost in it, and small cases come out as by hand."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from benchmarks.scale import cells, sheet, simulated
from benchmarks.scale.closed import burst_seconds
from benchmarks.scale.policies import (
    AT_ONCE,
    EACH,
    LANES,
    OURS,
    SMOOTHED,
    TURNS,
    AtOnce,
    InOrder,
    Policy,
)
from benchmarks.scale.state import budget_bytes, changes_of, key_bytes
from benchmarks.scale.traffic import Arrival, both, burst, stream
from benchmarks.scale.virtual import Outreach, Ran, Run
from tests.support.data.changes import change
from tests.support.processes.program import ROOT
from transforms.budget.terms import BudgetTerms
from transforms.elements import Change, Patch
from transforms.outreach.send_queue import SendQueue

FAST = Outreach(seconds=(0.25, 0.25))
AMPLE = Outreach(limit=10**6, seconds=(0.25, 0.25))
SMALL = BudgetTerms(100, 3600.0, 10)
POLICIES = (OURS, AT_ONCE, TURNS, LANES, EACH, SMOOTHED)


def arriving(*told: tuple[float, int, str]) -> list[Arrival]:
    """Changes of one field: when, of which prospect, and the value."""
    return [
        Arrival(at, [change(prospect, value=value, time=round(at * 1e6))])
        for at, prospect, value in told
    ]


def run(
    policy: Policy,
    arrivals: Sequence[Arrival],
    terms: BudgetTerms | None = None,
    outreach: Outreach = FAST,
) -> Ran:
    return Run(policy, terms or BudgetTerms(), outreach, 1).deliver(arrivals)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", range(3))
def test_each_change_becomes_fresh_once_and_no_window_holds_more_than_the_allowance(
    policy: Policy, seed: int
) -> None:
    arrivals = both(300, 200.0, 6.0, seed)
    simulation = Run(policy, SMALL, Outreach(limit=100), seed)

    ran = simulation.deliver(arrivals)

    assert len(ran.seconds) == ran.changes == sum(len(each.changes) for each in arrivals)
    assert ran.seconds[0] >= 0
    asked = list(simulation.server.arrivals)
    assert len(asked) == ran.requests
    windows = [sum(at - 3600 < other <= at for other in asked) for at in asked]
    assert max(windows) == ran.most_in_a_window <= SMALL.allowance
    if policy is not LANES:  # Of 16 lanes, some have nothing left in each window.
        assert ran.most_in_a_window == SMALL.allowance


def test_without_a_limit_a_burst_takes_as_long_as_its_answers() -> None:
    for prospects in (1, 2, 17, 18, 1000):
        arrivals = arriving(*((0.0, prospect, "x") for prospect in range(1, prospects + 1)))

        ran = run(OURS, arrivals, BudgetTerms(10**6, 3600.0, 0), AMPLE)

        rounds = 1 + math.ceil((prospects - 1) / AMPLE.in_flight)  # the first goes alone
        assert ran.drain_seconds == pytest.approx(5.0 + 0.25 * rounds)
        assert ran.requests == prospects


@pytest.mark.parametrize("policy", [OURS, EACH, SMOOTHED], ids=lambda policy: policy.name)
def test_a_sync_of_many_windows_takes_as_long_as_the_closed_form_says(policy: Policy) -> None:
    terms, outreach = BudgetTerms(1000, 3600.0, 50), Outreach(limit=1000)

    ran = run(policy, burst(5000, 1), terms, outreach)

    simulated = (ran.drain_seconds, ran.fresh(0.5), ran.fresh(0.99))
    assert simulated == pytest.approx(burst_seconds(policy, 5000, terms, outreach), rel=0.005)


def test_what_merges_in_the_hold_is_one_request_and_fresh_with_it() -> None:
    ran = run(OURS, arriving((0.0, 1, "a"), (1.0, 1, "b"), (4.0, 1, "c")))

    assert ran.requests == 1
    assert list(ran.seconds) == [1.25, 4.25, 5.25]


def test_what_a_field_holds_already_is_fresh_as_it_comes_and_costs_nothing() -> None:
    ran = run(OURS, arriving((0.0, 1, "a"), (10.0, 1, "a"), (20.0, 1, "b"), (21.0, 1, "a")))

    assert ran.requests == 1
    assert list(ran.seconds) == [0.0, 0.0, 0.0, 5.25]


def test_what_repeats_a_value_that_waits_is_fresh_when_that_is_sent() -> None:
    terms = BudgetTerms(1, 3600.0, 0)
    ran = run(OURS, arriving((0.0, 1, "a"), (10.0, 2, "a"), (100.0, 2, "a")), terms)

    assert ran.requests == 2
    first, later, sooner = ran.seconds
    assert first == 5.25
    assert later == pytest.approx(sooner - 90)


def test_what_repeats_a_value_on_its_way_is_fresh_when_that_is_answered() -> None:
    ran = run(OURS, arriving((0.0, 1, "a"), (5.1, 1, "a")))

    assert ran.requests == 1
    assert list(ran.seconds) == pytest.approx([0.15, 5.25])


def test_what_merges_in_the_queue_is_one_request_and_fresh_with_it() -> None:
    terms = BudgetTerms(1, 3600.0, 0)
    ran = run(OURS, arriving((0.0, 1, "a"), (10.0, 2, "a"), (100.0, 2, "b")), terms)

    assert ran.requests == 2
    assert [ran.seconds[1] - 3500, ran.seconds[2] - 3590] == pytest.approx([5.5, 5.5], abs=11)


def test_a_patch_a_change_sends_each_as_it_comes() -> None:
    ran = run(EACH, arriving((0.0, 1, "a"), (1.0, 1, "a"), (2.0, 1, "b")))

    assert ran.requests == 3
    assert list(ran.seconds) == [0.25, 0.25, 0.25]


def test_a_smoothed_limiter_never_sends_two_at_once() -> None:
    simulation = Run(SMOOTHED, SMALL, FAST, 1)
    simulation.deliver(burst(200, 1))
    assert min(b - a for a, b in pairwise(simulation.server.arrivals)) >= 40.0


def test_lanes_share_what_is_in_flight() -> None:
    arrivals = arriving(*((0.0, prospect, "x") for prospect in range(1, 401)))

    ran = run(LANES, arrivals, BudgetTerms(10**6, 3600.0, 0), AMPLE)

    longest = 5.0 + 0.25 * 400 / 16
    assert longest <= ran.drain_seconds <= 2 * longest


def test_a_seed_gives_the_same_traffic_and_the_same_figures_again() -> None:
    assert both(50, 100.0, 2.0, 7) == both(50, 100.0, 2.0, 7)
    assert both(50, 100.0, 2.0, 7) != both(50, 100.0, 2.0, 8)
    arrivals = stream(50, 100.0, 2.0, 7)
    assert run(OURS, arrivals, SMALL, Outreach()) == run(OURS, arrivals, SMALL, Outreach())


def test_a_stream_has_the_rate_and_the_skew_that_it_says() -> None:
    arrivals = stream(1000, 5000.0, 10.0, 1)

    assert len(arrivals) == pytest.approx(50_000, rel=0.02)
    assert all(a.at <= b.at for a, b in pairwise(arrivals))
    often = Counter(each.changes[0].outreach_id for each in arrivals).most_common(10)
    assert often[0][1] / often[9][1] == pytest.approx(10, rel=0.15)
    last: dict[tuple[int, str], str] = {}
    repeated = 0
    for each in (one for arrival in arrivals for one in arrival.changes):
        before = last.get((each.outreach_id, each.field), '"realized"')
        repeated += before == each.value
        last[each.outreach_id, each.field] = each.value
    assert repeated / len(arrivals) == pytest.approx(0.1, rel=0.05)


class Loses(SendQueue):
    """A queue that loses a patch."""

    def add(self, patch: Patch) -> list[Change]:
        return [] if patch.outreach_id == 3 else super().add(patch)


class Unlimited(AtOnce):
    """A budget that grants whatever is wanted."""

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        super().take(wanted, now)
        return wanted, 0.0


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Policy("loses", Loses, AtOnce), "of 600 changes, 597 became fresh"),
        (Policy("spends", InOrder, Unlimited), "more than 100 requests in a window"),
    ],
)
def test_what_loses_a_change_or_exceeds_the_limit_is_no_result(policy: Policy, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        run(policy, burst(200, 1), SMALL, Outreach(limit=100))


def test_the_state_of_a_key_grows_with_its_changes_and_a_budget_stays_small() -> None:
    one, three = key_bytes(1), key_bytes(3)
    source = random.Random(1)
    (sample,) = changes_of(source.randrange(10**8, 10**9), 1)
    assert len(sample.change_id) > 24
    assert one.remembered < one.holding < one.waiting < 200
    assert 2 * one.waiting < three.waiting < 3 * one.waiting
    assert 4000 < budget_bytes(BudgetTerms()) < 4500


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5.24, "5.2 s"), (90, "1.5 min"), (7200, "2.0 h"), (48 * 3600, "2.0 d"), (1e8, "1,157.4 d")],
)
def test_times_are_told_in_a_unit_of_their_size(seconds: float, said: str) -> None:
    assert sheet.lasting(seconds) == said


def test_the_page_that_is_kept_has_a_row_for_each_cell() -> None:
    kept = simulated.PAGE.read_text(encoding="utf-8")
    rows = [line for line in kept.splitlines() if line.startswith("| ")]
    grid = len(sheet.USERS) * len(sheet.PROSPECTS)
    streams = [cell for cell in cells.all_cells() if cell.traffic != "burst"]
    syncs, headings = len(cells.STREAMING), 3
    assert len(rows) == headings + grid + len(streams) + syncs + len(simulated.AUDIENCES)


def test_the_figures_in_the_design_are_those_of_the_page() -> None:
    page = simulated.PAGE.read_text(encoding="utf-8")
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    section = design.partition("\n## Scale\n")[2].partition("\n## ")[0]
    figures = re.findall(r"\d+\.\d+(?: (?:h|min|s))?(?= \|)", section)
    assert len(figures) == 15
    assert [figure for figure in figures if figure not in page] == []
    sizes = key_bytes(3)
    for size in (sizes.remembered, sizes.holding, sizes.waiting):
        assert re.search(rf"\b{size}\b", section), size
