"""The page of the simulation: what is assumed, and three tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.scale import cells
from benchmarks.scale.cells import POLICIES, SHARDS, STREAMING, TERMS, Cell, Figures
from benchmarks.scale.closed import burst_seconds
from benchmarks.scale.policies import AT_ONCE, LANES, OURS, TURNS, Policy
from benchmarks.scale.state import KeyBytes
from benchmarks.scale.traffic import AUDIENCES, BURST_SECONDS, REPEATED
from transforms.stages.patch_stateful import TURN_REQUESTS

USERS = (1, 10, 100, 1_000)
PROSPECTS = (100_000, 1_000_000, 10_000_000, 100_000_000)

_ABOUT = """\
# Scale

By `python -m benchmarks scale`, a simulation on a virtual clock: {made}

What is the job's own: the hold, the fold, the queue, the budget and the coders. What is made up:
time, traffic, and an Outreach that answers within {least:g} to {most:g} s, accepts {limit:,}
requests in any hour, and is asked {in_flight} at once. There is no network, no trouble, and nobody
else who spends; prospects are not read before they are written. Seed {seed}.

- **ours**: a prospect's changes are held {hold:g} s, merge while they wait, and go out as soon as
  the window allows ({allowance:,} requests in any hour); evenly, while more keeps coming than a
  window takes. So does the job over a ledger.
- **ours, streaming**: as ours, in turns whose requests gather for 40 s where they are sent evenly.
  So does the job on a streaming runner; **16 lanes** is that with the queue and budget split.
- **ours, at once**: as soon as the window allows, whatever comes.
- **a PATCH a change**: each change by itself, in order, nothing held, merged or remembered; the
  same budget.
- **smoothed**: as ours, but {rate:.2f} requests a second, evenly.

A change is fresh when its field holds its value or a newer one. To drain is from the arrival of the
last change to the last answer. Users share nothing: what one does with its part of the prospects, a
thousand do with theirs. Parts are taken for equal; a hash makes them equal but for some of their
square roots.
"""
_BURST = """\
## An initial sync of all

Each prospect once, in {audiences} audiences, within {minutes:g} minutes. Each figure: ours / a
PATCH a change / smoothed. Up to {shard:,} prospects a user are simulated one by one; what is marked
with * is computed, as windows times allowance. For {shard:,} the two differ by {off:.2%} at most.

| prospects | users | a user's | to drain | fresh: half of all | 99 in 100 |
|---:|---:|---:|---:|---:|---:|
"""
_STREAMS = """\
## A day's stream, and an initial sync at its beginning

{per_day:g} changes a prospect and day; of prospects in the order of how often they change, the nth
changes a nth as often as the first. {repeated:.0%} of the changes repeat the last value. To
{shard:,} prospects of one user that is {load:.2f} times what the budget allows; they may be all
there are, or a thousandth of 100 million. All is simulated.

| | a user's prospects | | requests a change | to drain | fresh: half of all | 99 in 100 |
|---|---:|---|---:|---:|---:|---:|
"""
_STATE = """\
## State

Bytes by the job's coders, of changes as parse and map make them, with ids of nine digits, and keys;
without what a runner adds. A hold key is a prospect, a pace key a user or one of its lanes. A turn
of a pace key sends {turn} patches.

| audiences | bytes of a hold key, holding | and remembering | of each that waits in a pace key |
|---:|---:|---:|---:|
"""
_FACTS = {
    "least": cells.OUTREACH.seconds[0],
    "most": cells.OUTREACH.seconds[1],
    "limit": cells.OUTREACH.limit,
    "in_flight": cells.OUTREACH.in_flight,
    "seed": cells.SEED,
    "hold": OURS.hold_seconds,
    "allowance": TERMS.allowance,
    "rate": TERMS.allowance / TERMS.per_seconds,
    "audiences": AUDIENCES,
    "minutes": BURST_SECONDS / 60,
    "shard": SHARDS[-1],
    "per_day": cells.PER_DAY,
    "repeated": REPEATED,
    "load": SHARDS[-1] * cells.PER_DAY / 24 / TERMS.allowance,
    "turn": TURN_REQUESTS,
}


def written(
    made: str, figures: Mapping[Cell, Figures], sizes: Sequence[KeyBytes], budget: int, turn: str
) -> str:
    """The page.

    Args:
      made: when and where.
      figures: of all cells.
      sizes: of keys.
      budget: bytes of a budget at most.
      turn: what a turn takes, in a sentence.
    """
    names = {"burst": "sync", "stream": "stream", "both": "both"}
    policies = [policy.name for policy in (OURS, TURNS, LANES, AT_ONCE, *POLICIES[1:])]

    def place(cell: Cell) -> tuple[int, int, int]:
        return list(names).index(cell.traffic), -cell.prospects, policies.index(cell.policy)

    streams = [
        row(
            names[cell.traffic],
            f"{cell.prospects:,}",
            cell.policy,
            f"{found.requests_per_change:.2f}",
            *map(lasting, (found.drain_seconds, found.p50, found.p99)),
        )
        for cell, found in sorted(figures.items(), key=lambda each: place(each[0]))
        if cell.traffic != "burst" or cell.policy in {each.name for each in STREAMING}
    ]
    state = [
        row(*(f"{n:,}" for n in (each.audiences, each.holding, each.remembered, each.waiting)))
        for each in sizes
    ]
    return "\n".join(
        [
            _ABOUT.format(made=made, **_FACTS),
            _BURST.format(off=off(figures), **_FACTS) + "".join(_bursts(figures)),
            _STREAMS.format(**_FACTS) + "".join(streams),
            _STATE.format(**_FACTS) + "".join(state),
            f"Besides, a pace key has a budget of {budget:,} bytes at most.\n{turn}\n",
        ]
    )


def off(figures: Mapping[Cell, Figures]) -> float:
    """By how much the closed form differs from the simulation at most, as a part of it."""
    return max(
        abs(computed / simulated - 1)
        for policy in POLICIES
        for computed, simulated in zip(
            burst_seconds(policy, SHARDS[-1], TERMS, cells.OUTREACH),
            _burst_times(figures[Cell("burst", SHARDS[-1], policy.name)]),
            strict=True,
        )
    )


def lasting(seconds: float) -> str:
    """A time for people."""
    for unit, size, most in (("s", 1.0, 60.0), ("min", 60.0, 3600.0), ("h", 3600.0, 48 * 3600.0)):
        if seconds < most:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:,.1f} d"


def row(*texts: str) -> str:
    return f"| {' | '.join(texts)} |\n"


def _bursts(figures: Mapping[Cell, Figures]) -> Iterable[str]:
    for prospects in PROSPECTS:
        for users in USERS:
            part = prospects // users
            mark = "" if part in SHARDS else "*"
            times = [_burst(figures, policy, part) for policy in POLICIES]
            columns = (
                " / ".join(map(lasting, column)) + mark for column in zip(*times, strict=True)
            )
            yield row(f"{prospects:,}", f"{users:,}", f"{part:,}", *columns)


def _burst(
    figures: Mapping[Cell, Figures], policy: Policy, part: int
) -> tuple[float, float, float]:
    if part in SHARDS:
        return _burst_times(figures[Cell("burst", part, policy.name)])
    return burst_seconds(policy, part, TERMS, cells.OUTREACH)


def _burst_times(found: Figures) -> tuple[float, float, float]:
    return found.drain_seconds, found.p50, found.p99
