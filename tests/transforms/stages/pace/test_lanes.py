"""The lanes of a user share its budget, its requests in flight and its prospects."""

from __future__ import annotations

import pytest

from pipeline.sandbox import Sandbox
from tests.support.beam.stream import come, stream_time, wait
from tests.support.data.changes import ended, ids_of_patches, patch, patches, tally
from tests.support.in_process.delivering import statuses, values
from tests.support.servers.sandbox_client import patch as ask_to_patch
from tests.transforms.stages.pace.pacing import HOUR, TERMS, Run, Stage, outcomes, sandbox_of
from transforms.budget.terms import BudgetTerms
from transforms.outreach.delivery import Delivery
from transforms.stages.patch_stateful import PaceDoFn

pytestmark = pytest.mark.real


@pytest.mark.parametrize("reserve", [0, 5])
@pytest.mark.parametrize("lanes", [2, 4, 7])
def test_lanes_spend_the_whole_budget_together_and_never_more(
    run: Run, lanes: int, reserve: int
) -> None:
    with sandbox_of() as sandbox:
        given = patches(range(1, 101))
        allowance = TERMS.requests - reserve
        hours = 3

        came = run(
            sandbox, come(*given), wait(1), *[wait(HOUR), wait(20)] * (hours - 1),
            terms=BudgetTerms(TERMS.requests, HOUR, reserve), delivery=Delivery(lanes=lanes),
        )  # fmt: skip

        asked = [each.started_at for each in sandbox.requests()]
        in_windows = [sum(at - HOUR < other <= at for other in asked) for at in asked]
        assert max(in_windows) == allowance
        assert len(asked) == hours * allowance
        assert statuses(sandbox) == [200] * len(asked)
        assert tally(outcomes(came)) == {
            "delivered": hours * allowance, "deferred": 100 - hours * allowance,
        }  # fmt: skip
        assert ended(outcomes(came)) == ids_of_patches(given)


def test_lanes_leave_to_each_other_what_strangers_left_of_the_budget(run: Run) -> None:
    with sandbox_of(latency_seconds=0.01) as sandbox:
        for prospect in range(1, 13):
            ask_to_patch(sandbox, prospect, "good", custom1="a stranger's")

        run(sandbox, come(*patches(range(1, 101))), wait(1), delivery=Delivery(lanes=4))

        ours = statuses(sandbox)[12:]
        assert ours.count(200) == TERMS.requests - 12
        assert ours.count(429) < 4


def test_a_prospect_goes_by_one_lane_and_is_merged_there(run: Run) -> None:
    with sandbox_of() as sandbox:
        terms = BudgetTerms(4, HOUR, 0)
        first, second = (patches(range(1, 31), custom4=value) for value in ("old", "new"))

        came = run(
            sandbox, come(*first), wait(1), come(*second), wait(100), *[wait(HOUR), wait(20)] * 14,
            terms=terms, delivery=Delivery(lanes=4),
        )  # fmt: skip

        sent = [one.element for one in came if one.element.outcome == "delivered"]
        assert sum(len(each.changes) for each in sent) == 4 + 30
        assert tally(outcomes(came)) == {"delivered": 34, "superseded": 26}
        assert set(values(sandbox).values()) == {"new"}
        assert {each.user for each in sent} == {"ops"}


def test_no_more_requests_are_in_flight_on_a_lane_than_its_share() -> None:
    dofn = PaceDoFn("http://localhost", [], Delivery(in_flight=16, lanes=3), stream_time)
    assert dofn._delivery == Delivery(in_flight=5)


def test_what_waits_in_a_lane_that_is_no_more_is_deferred_and_not_lost(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    given = patches(range(1, 6))
    for one in given:
        user.process(one)
    user.grant()
    user.process(late := patch(6))

    user.key = "ops 2/4"  # of the job before this one, whose state this one has
    user.grant_timer.at = None
    assert user.send() == []
    assert user.grant_timer.at == 0.0
    left = user.grant()

    assert ended(left) == ids_of_patches([*given, late])
    assert {each.outcome for each in left} == {"deferred"}
    assert (user.waits(), user.awake.read()) == ([], None)
    assert len(sandbox.requests()) == 1
