"""Which traffic meets which policy, each simulated in a process of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.scale.policies import AT_ONCE, EACH, LANES, OURS, SMOOTHED, TURNS
from benchmarks.scale.traffic import Arrival, both, burst, stream
from benchmarks.scale.virtual import Outreach, Run
from transforms.budget.terms import BudgetTerms

SEED = 1
HOURS = 24.0
PER_DAY = 4.0
"""Changes of a prospect, on an average: those of 100,000 are 1.75 times a user's budget."""
SHARDS = (100, 1_000, 10_000, 100_000)
"""Prospects of one user that are simulated one by one."""
WORKERS = 2
POLICIES = (OURS, EACH, SMOOTHED)
STREAMING = (AT_ONCE, TURNS, LANES)
"""What is simulated besides, of the most prospects alone."""
TERMS = BudgetTerms()
OUTREACH = Outreach()

Traffic = Callable[[int], list[Arrival]]
TRAFFIC: Mapping[str, Traffic] = {
    "burst": lambda prospects: burst(prospects, SEED),
    "stream": lambda prospects: stream(prospects, prospects * PER_DAY / 24, HOURS, SEED),
    "both": lambda prospects: both(prospects, prospects * PER_DAY / 24, HOURS, SEED),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulation: a kind of traffic, of so many prospects of one user, by a policy's name."""

    traffic: str
    prospects: int
    policy: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told of a simulation.

    Attributes:
      requests_per_change: sent ÷ arrived.
      drain_seconds: from the last arrival to the last answer.
      p50: seconds until half of all changes were fresh.
      p99: the same of 99 in 100.
      most_in_a_window: requests that the server saw.
    """

    requests_per_change: float
    drain_seconds: float
    p50: float
    p99: float
    most_in_a_window: int


def simulate(cell: Cell) -> Figures:
    """Runs one cell.

    Raises:
      RuntimeError: see `Run.deliver`.
    """
    gc.collect()
    gc.disable()  # It would walk over a million small tuples, again and again.
    policy = {each.name: each for each in (*POLICIES, *STREAMING)}[cell.policy]
    arrivals = TRAFFIC[cell.traffic](cell.prospects)
    ran = Run(policy, TERMS, OUTREACH, SEED).deliver(arrivals)
    return Figures(
        ran.requests / ran.changes,
        ran.drain_seconds,
        ran.fresh(0.5),
        ran.fresh(0.99),
        ran.most_in_a_window,
    )


def all_cells() -> list[Cell]:
    """Those with most to do first, so that no process is left with one of them."""
    found = [
        Cell(traffic, prospects, policy.name)
        for traffic, shards in (("both", SHARDS[2:]), ("stream", SHARDS[2:]), ("burst", SHARDS))
        for prospects in shards
        for policy in POLICIES
    ]
    found += [Cell(traffic, SHARDS[-1], policy.name) for traffic in TRAFFIC for policy in STREAMING]
    return sorted(found, key=_work, reverse=True)


def simulate_all(cells: Sequence[Cell]) -> dict[Cell, Figures]:
    """Runs cells, as many at once as there are `WORKERS`."""
    with ProcessPoolExecutor(WORKERS) as pool:
        return dict(zip(cells, pool.map(simulate, cells), strict=True))


def _work(cell: Cell) -> tuple[int, int]:
    return cell.prospects, ("burst", "stream", "both").index(cell.traffic)
