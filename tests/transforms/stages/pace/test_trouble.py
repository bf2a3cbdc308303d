"""What Pace does about refused users, maintenance, errors and refusals."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from pipeline.sandbox.faults import FaultSettings
from tests.support.beam.stream import come, wait
from tests.support.data.changes import patch, patches, tally
from tests.support.in_process.delivering import SHORT, statuses, values
from tests.transforms.stages.pace.pacing import HOUR, Mendable, Run, outcomes, sandbox_of, times
from transforms.budget.terms import BudgetTerms
from transforms.outreach.delivery import Delivery
from transforms.stages.patch_stateful import PAUSED_SECONDS

pytestmark = pytest.mark.real


def test_a_paused_users_work_stays_queued_and_is_sent_once_it_is_mended(run: Run) -> None:
    with sandbox_of() as sandbox:
        given = patches(range(1, 9))

        came = run(
            sandbox, come(*given), wait(1), come(patch(9)), wait(PAUSED_SECONDS),
            wait(PAUSED_SECONDS), auth=Mendable(mended_at=90.0),
        )  # fmt: skip

        assert times(came) == {121.0: 9}
        asked = [(each.started_at, each.status) for each in sandbox.requests()]
        assert Counter(status for _, status in asked) == {401: 2, 200: 9}
        assert [at for at, status in asked if status == 401] == [0.0, 61.0]


def test_a_users_work_that_stays_paused_is_deferred_and_not_refused(run: Run) -> None:
    with sandbox_of() as sandbox:
        given = patches(range(1, 9))

        came = run(sandbox, come(*given), wait(1), wait(500), auth=Mendable(mended_at=1e9))

        assert tally(outcomes(came)) == {"deferred": 8}
        assert values(sandbox) == {}


def test_maintenance_is_not_waited_for_in_a_callback_and_nobody_asks_before_its_end(
    run: Run,
) -> None:
    with sandbox_of() as sandbox:
        sandbox.maintain(100)  # until the stream's time 100
        began = time.monotonic()

        came = run(
            sandbox, come(*patches([1, 2])), wait(1), wait(50), come(patch(3)), wait(50), wait(1)
        )

        assert time.monotonic() - began < 5
        assert tally(outcomes(came)) == {"delivered": 3}
        assert statuses(sandbox) == [503, 200, 200, 200]
        assert sandbox.requests()[1].started_at >= 100


def test_a_patch_that_meets_nothing_but_trouble_is_given_up_after_its_time(run: Run) -> None:
    faults = FaultSettings(error_500=1.0)
    with sandbox_of(faults=faults) as sandbox:
        came = run(
            sandbox, come(patch(1)), *[wait(401)] * 20, delivery=Delivery(give_up_seconds=HOUR)
        )

        assert tally(outcomes(came)) == {"rejected": 1}
        (one,) = outcomes(came)
        assert (one.reason, one.http_status) == ("unavailable", 500)
        assert HOUR <= came[0].at <= HOUR + 500
        assert len(sandbox.requests()) == 10


def test_a_prospect_in_trouble_does_not_hold_up_the_others(run: Run) -> None:
    with sandbox_of(limit=10_000) as sandbox:

        def only_the_third(_: str, path: str) -> str | None:
            return "error_500" if path.endswith("/3") else None

        sandbox._outreach.faults.befalling = only_the_third  # type: ignore[method-assign]

        came = run(
            sandbox, come(*patches(range(1, 31))), wait(1), come(patch(31), patch(3, custom5="x")),
            wait(1), terms=BudgetTerms(),
        )  # fmt: skip

        assert tally(outcomes(came)) == {"delivered": 30, "deferred": 2}
        assert max(times(came)) < 3
        assert statuses(sandbox).count(500) == 1, "what comes for it waits with it"


def test_a_refusal_without_a_name_is_narrowed_down_though_it_is_all_there_is(run: Run) -> None:
    with sandbox_of(fields=(SHORT,), vague_errors=True) as sandbox:
        given = patch(1, custom4="a", custom5="too long", custom6="c")

        came = run(sandbox, come(given), wait(1))

        assert tally(outcomes(came)) == {"delivered": 2, "rejected": 1}
        assert len(sandbox.requests()) <= 6
