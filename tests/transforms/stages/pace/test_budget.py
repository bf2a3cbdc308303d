"""Pace sends within the budget, at once what it allows, and merges what waits for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.beam.stream import come, wait
from tests.support.data.changes import change, patch, patches, tally
from tests.support.in_process.delivering import statuses, values
from tests.transforms.stages.pace.pacing import (
    ALLOWANCE,
    HOUR,
    Run,
    breakdowns,
    outcomes,
    sandbox_of,
    times,
)
from transforms.budget.terms import BudgetTerms
from transforms.elements import Patch
from transforms.stages.patch_stateful import TURN_REQUESTS

pytestmark = pytest.mark.real


def test_patches_are_sent_within_the_budget_and_what_it_allows_is_sent_at_once(run: Run) -> None:
    with sandbox_of() as sandbox:
        given = patches(range(1, 41))

        came = run(sandbox, come(*given), wait(1), wait(HOUR), wait(20), wait(HOUR), wait(20))

        assert tally(outcomes(came)) == {"delivered": 40}
        counts = sorted(times(came).items())
        assert [count for _, count in counts] == [ALLOWANCE, ALLOWANCE, 40 - 2 * ALLOWANCE]
        assert counts[0][0] < 2
        assert all(later - at > HOUR for (at, _), (later, _) in pairwise(counts))
        assert statuses(sandbox) == [200] * 40
        assert sandbox.violations() == []


def test_a_burst_that_fits_goes_out_at_once_however_large_a_turn(run: Run) -> None:
    many = TURN_REQUESTS * 2 + 7
    with sandbox_of(prospects=many, limit=10_000) as sandbox:
        came = run(sandbox, come(*patches(range(1, many + 1))), wait(1), terms=BudgetTerms())

        assert tally(outcomes(came)) == {"delivered": many}
        assert values(sandbox) == dict.fromkeys(range(1, many + 1), "realized")
        assert max(times(came)) <= 1


def test_patches_that_wait_for_budget_merge_and_the_newest_value_is_sent(run: Run) -> None:
    with sandbox_of() as sandbox:
        first = patches(range(1, ALLOWANCE + 1))
        old, stale, newest = (
            Patch(99, "ops", [change(99, value=value, time=at)])
            for value, at in (("old", 5), ("stale", 4), ("new", 6))
        )

        came = run(
            sandbox, come(*first), wait(1), come(old), wait(100), come(stale), wait(100),
            come(newest), wait(HOUR), wait(20),
        )  # fmt: skip

        assert tally(outcomes(came)) == {"delivered": ALLOWANCE + 1, "superseded": 2}
        assert sandbox.prospects()[99] == {"custom4": "new"}
        assert statuses(sandbox) == [200] * (ALLOWANCE + 1)


def test_a_stage_that_slept_wakes_for_what_comes(run: Run) -> None:
    with sandbox_of() as sandbox:
        came = run(sandbox, come(patch(1)), wait(1), wait(500), come(patch(2)), wait(1))

        assert times(came) == {0.0: 1, 501.0: 1}


def test_a_bundle_that_fails_and_is_run_again_takes_no_budget_twice(run: Run) -> None:
    with sandbox_of() as sandbox:
        breakdowns.append(1)  # the first request is the probe, the second breaks down

        came = run(
            sandbox, come(*patches(range(1, 6))), wait(1), come(*patches(range(6, 41))), wait(1)
        )

        assert breakdowns == []
        assert tally(outcomes(came)) == {"delivered": ALLOWANCE, "deferred": 40 - ALLOWANCE}
        assert len(sandbox.requests()) == ALLOWANCE


def test_an_idle_user_costs_nothing_and_a_long_pause_begins_with_one_request(run: Run) -> None:
    with sandbox_of(latency_seconds=0.02) as sandbox:
        run(sandbox, come(*patches([1, 2])), wait(1), wait(900), come(*patches([3, 4, 5])), wait(1))

        assert len(sandbox.requests()) == 5
