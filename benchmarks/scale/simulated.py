"""Many prospects and many users: runs the simulation, and writes `benchmarks/scale.md`.

The aims: no window holds more than the budget allows, and an initial sync takes no longer than
windows do. A stream that is larger than the budget is merged until it fits, so that after a day of
it nothing is left that a window cannot take, and 99 in 100 of its changes are nearly as fresh as if
all were sent evenly. And what fits is no fresher by sending evenly.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from benchmarks.measure import Result
from benchmarks.scale import cells, sheet, state
from benchmarks.scale.cells import SHARDS, TERMS, Cell, Figures
from benchmarks.scale.policies import AT_ONCE, EACH, LANES, OURS, SMOOTHED, TURNS, Policy
from transforms.stages.patch_stateful import TURN_REQUESTS
from transforms.stages.queue_state import HEAD_PATCHES

PAGE = Path(__file__).parent.with_name("scale.md")
WAITING = (10_000, 100_000)
AUDIENCES = (1, 3, 10)


def simulated(folder: Path) -> list[Result]:
    """Simulates all cells; nothing goes to `folder`."""
    del folder
    figures = cells.simulate_all(cells.all_cells())
    turns = TERMS.allowance / TURN_REQUESTS
    few, many = ((waiting, state.turn_seconds(waiting, AUDIENCES[1])) for waiting in WAITING)
    each = (many[1] - few[1]) / (many[0] - few[0])
    fills = 3600 / turns / each / 1e6
    turn = (
        f"Where {few[0]:,} prospects of {AUDIENCES[1]} audiences wait, a turn takes {few[1]:.2f} s"
        f" of a core, and {many[1]:.2f} s where {many[0]:,} do,\non the machine of"
        f" [results.md](results.md): it reads the first {HEAD_PATCHES:,}, and all only once in"
        f" {HEAD_PATCHES // TURN_REQUESTS} turns.\nSo the {turns:.0f} turns that an hour's budget"
        f" takes fill the hour where {fills:.0f} million wait under one key.\nLanes divide that."
    )
    sizes = [state.key_bytes(audiences) for audiences in AUDIENCES]
    made = f"{dt.datetime.now(tz=dt.UTC).date()}."
    page = sheet.written(made, figures, sizes, state.budget_bytes(TERMS), turn)
    PAGE.write_text(page, encoding="utf-8")
    return results(figures)


def results(figures: dict[Cell, Figures]) -> list[Result]:
    """Ratios within this simulation."""
    most, many = SHARDS[-1], f"{SHARDS[-1]:,} prospects of a user"

    def at(traffic: str, policy: Policy, prospects: int = most) -> Figures:
        return figures[Cell(traffic, prospects, policy.name)]

    window = max(found.most_in_a_window for found in figures.values()) / TERMS.allowance
    least = (most - 1) // TERMS.allowance * TERMS.per_seconds
    sync = at("burst", OURS).drain_seconds / least
    lanes = at("burst", LANES).drain_seconds / at("burst", OURS).drain_seconds
    day = at("stream", OURS).drain_seconds / TERMS.per_seconds
    small = at("burst", OURS, 1_000).p50 / at("burst", SMOOTHED, 1_000).p50
    each = sheet.lasting(at("stream", EACH).drain_seconds)
    rows = [
        (f"Most requests in a window ÷ allowed, in {len(figures)} simulations", window, 1.0),
        (f"Time to drain an initial sync, {many} ÷ the windows that this takes", sync, 1.01),
        ("The same in 16 lanes ÷ in one", lanes, 1.01),
        (
            f"Time to drain after a day's stream, {many} ÷ a window ({each} with a PATCH a change)",
            day,
            1.0,
        ),
        ("Time until half of a sync of 1,000 prospects is fresh ÷ smoothed", small, 1.0),
    ]
    early = sheet.lasting(at("stream", AT_ONCE).p99)
    for traffic, what, aim, told in (
        ("both", "a sync and a day's stream", 1.0, ""),
        ("stream", "a day's stream", 1.25, f"; {early} if all is sent at once"),
    ):
        ours, even = at(traffic, OURS), at(traffic, SMOOTHED)
        rows += [
            (f"Time until half of {what} is fresh ÷ smoothed, {many}", ours.p50 / even.p50, aim),
            (f"The same, 99 in 100 ({_both(ours, even)}{told})", ours.p99 / even.p99, aim),
        ]
    even = at("stream", SMOOTHED)
    for policy, where in ((TURNS, "on a streaming runner"), (LANES, "there, in 16 lanes")):
        ours = at("stream", policy)
        rows.append((f"The same, {where} ({_both(ours, even)})", ours.p99 / even.p99, 1.25))
    return [Result(name, f"{got:.2f}", f"≤ {aim:.2f}", got <= aim) for name, got, aim in rows]


def _both(ours: Figures, even: Figures) -> str:
    return f"{sheet.lasting(ours.p99)} and {sheet.lasting(even.p99)}"
