"""What Pace has not sent when the stream ends is deferred, and each change ends once."""

from __future__ import annotations

import random

import pytest
from apache_beam.pvalue import PCollection

from pipeline.sandbox.faults import FaultSettings
from tests.support.beam.stream import Event, come, flow, stream_time, wait
from tests.support.data.changes import change, ended, ids, ids_of_patches, patches, tally
from tests.support.in_process.delivering import statuses
from tests.transforms.stages.pace.pacing import (
    ALLOWANCE,
    HOUR,
    TERMS,
    LetIn,
    Run,
    outcomes,
    sandbox_of,
)
from transforms.budget.terms import BudgetTerms
from transforms.elements import Change, Patch
from transforms.outreach.sender_pool import Access
from transforms.stages.coalesce import Coalesce
from transforms.stages.patch import PatchProspects

pytestmark = pytest.mark.real


def test_what_is_left_at_the_end_is_deferred_and_nothing_is_lost(run: Run) -> None:
    with sandbox_of() as sandbox:
        given = patches(range(1, 41), custom4="a", custom5="b")

        came = run(sandbox, come(*given), wait(1))

        assert tally(outcomes(came)) == {
            "delivered": 2 * ALLOWANCE, "deferred": 2 * (40 - ALLOWANCE),
        }  # fmt: skip
        assert ended(outcomes(came)) == ids_of_patches(given)
        deferred = [one for one in outcomes(came) if one.outcome == "deferred"]
        assert {(one.reason, one.http_status) for one in deferred} == {("deferred", None)}


def test_what_comes_last_is_deferred_though_no_timer_fired(run: Run) -> None:
    with sandbox_of() as sandbox:
        given = patches([1, 2])

        came = run(sandbox, wait(1), come(*given))

        assert ended(outcomes(came)) == ids_of_patches(given)


def test_what_comes_from_hold_at_the_end_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with sandbox_of() as sandbox:
        first, second, third = change(1), change(1, value="exited", time=1), change(2)

        def stages(changes: PCollection) -> dict[str, PCollection]:
            held = changes | "Coalesce" >> Coalesce(5.0, 100.0, stream_time)
            stage = PatchProspects(sandbox.url, [Access("ops", LetIn(), TERMS)], clock=stream_time)
            return {
                "held": held.outcomes[0],
                "patched": (held.patches | "Patch" >> stage).outcomes,
            }

        came = flow(
            monkeypatch,
            [come([first]), wait(6), wait(1), come([second, third])],
            list[Change],
            stages,
        )

        assert ended(outcomes(came)) == ids([first, second, third])
        assert tally(outcomes(came)) == {"delivered": 1, "deferred": 2}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_whenever_each_change_ends_once(run: Run, seed: int) -> None:
    source = random.Random(seed)
    faults = FaultSettings(error_500=0.1, reset_after=0.1)
    with sandbox_of(limit=60, faults=faults, seed=seed) as sandbox:
        given: list[Patch] = []
        events: list[Event] = []
        for _ in range(12):
            some = patches(source.sample(range(1, 108), source.randrange(1, 20)))
            given += some
            events += [come(*some), wait(source.choice([1, 30, 400, HOUR]))]

        came = run(sandbox, *events, terms=BudgetTerms(60, HOUR, 5))

        assert ended(outcomes(came)) == ids_of_patches(given)
        counts = tally(outcomes(came))
        assert counts["delivered"] > 50
        assert counts.keys() <= {"delivered", "superseded", "rejected", "deferred"}
        assert sandbox.violations() == []
        assert 429 not in statuses(sandbox)
