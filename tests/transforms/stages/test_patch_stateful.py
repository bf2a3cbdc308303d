"""Pace, the unbounded half of patch: on TestStream against the sandbox, both by one clock.

TestStream moves its clock only between callbacks, so where a sender waits within a turn, the
turn is made to end instead. What it cannot show is that a runner commits one callback's state
before it calls the next; what each callback leaves to the next is shown by calling them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from apache_beam.pvalue import PCollection

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import CustomField
from pipeline.sandbox.faults import FaultSettings
from tests.support.changes import change, ended, ids, ids_of_patches, patch, patches, tally
from tests.support.delivering import statuses, values
from tests.support.sandbox_client import patch as ask_to_patch
from tests.support.states import Bag, Cell, Timer
from tests.support.streaming import Came, Event, come, flow, stream_time, wait
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms
from transforms.elements import Change, Outcome, Patch
from transforms.errors import CredentialError
from transforms.outreach import backoff
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access, SenderPool
from transforms.stages import patch_stateful
from transforms.stages.coalesce import Coalesce
from transforms.stages.patch import PatchProspects
from transforms.stages.patch_stateful import PAUSED_SECONDS, TURN_REQUESTS, PaceDoFn

pytestmark = pytest.mark.real

HOUR = 3600.0
TERMS = BudgetTerms(20, HOUR, 5)
ALLOWANCE = TERMS.allowance


@dataclass(frozen=True)
class Mendable:
    """A credential that is refused until a person mends it, at a time of the stream."""

    mended_at: float

    def credential(self, user: str, base_url: str) -> Mendable.Credential:
        del base_url
        return Mendable.Credential(user, self.mended_at)

    @dataclass
    class Credential:
        user: str
        mended_at: float

        async def token(self, now: float) -> str:
            return "good" if now >= self.mended_at else "bad"

        async def refused(self, token: str, now: float) -> None:
            del token, now
            raise CredentialError(self.user, "its token is refused", "mend it")


breakdowns: list[int] = []
"""Which of the times that a token is asked for bring the worker down; each once."""


@dataclass(frozen=True)
class LetIn:
    """A credential that is let in, unless the worker breaks down just then."""

    def credential(self, user: str, base_url: str) -> LetIn.Credential:
        del user, base_url
        return LetIn.Credential()

    @dataclass
    class Credential:
        async def token(self, now: float) -> str:
            del now
            if breakdowns:
                breakdowns[0] -= 1
                if breakdowns[0] < 0:
                    breakdowns.pop(0)
                    raise RuntimeError("the worker breaks down")
            return "good"

        async def refused(self, token: str, now: float) -> None:
            raise AssertionError((token, now))


@pytest.fixture(autouse=True)
def far_backoff(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever met trouble waits so long that the turn is over."""
    monkeypatch.setattr(backoff, "BACKOFF_FIRST_SECONDS", 400.0)
    monkeypatch.setattr(backoff, "BACKOFF_MOST_SECONDS", 400.0)
    monkeypatch.setattr(backoff.random, "uniform", lambda _, most: most)
    yield
    breakdowns.clear()


@pytest.fixture(autouse=True)
def tidy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes what a worker that broke down left open."""
    pools: list[SenderPool] = []

    class Recorded(SenderPool):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            pools.append(self)

        def close(self) -> None:
            pools.remove(self)
            super().close()

    monkeypatch.setattr(patch_stateful, "SenderPool", Recorded)
    yield
    for pool in pools[:]:
        pool.close()


def sandbox_of(**options: Any) -> AbstractContextManager[Sandbox]:
    """A sandbox by the stream's clock, with the same limit as `TERMS`."""
    usual = {"prospects": 100, "limit": TERMS.requests, "window": "sliding"}
    usual["tokens"] = {"good": "ops"}
    return running_sandbox(SandboxOptions(**(usual | options)), stream_time)


Run = Callable[..., list[Came]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def running(
        sandbox: Sandbox,
        *events: Event,
        auth: object = LetIn(),
        terms: BudgetTerms = TERMS,
        delivery: Delivery | None = None,
    ) -> list[Came]:
        access = Access("ops", auth, terms)  # type: ignore[arg-type]

        def stages(arrived: PCollection) -> dict[str, PCollection]:
            stage = PatchProspects(sandbox.url, [access], delivery or Delivery(), clock=stream_time)
            return {"outcome": (arrived | "Patch" >> stage).outcomes}

        return flow(monkeypatch, events, Patch, stages)

    return running


def outcomes(came: list[Came]) -> list[Outcome]:
    return [one.element for one in came]


def times(came: list[Came], name: str = "delivered") -> Counter[float]:
    """How many changes came to an outcome, by when."""
    return Counter(
        one.at for one in came if one.element.outcome == name for _ in one.element.changes
    )


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
    short = CustomField("prospect", "custom5", "Short", max_length=3)
    with sandbox_of(fields=(short,), vague_errors=True) as sandbox:
        given = patch(1, custom4="a", custom5="too long", custom6="c")

        came = run(sandbox, come(given), wait(1))

        assert tally(outcomes(came)) == {"delivered": 2, "rejected": 1}
        assert len(sandbox.requests()) <= 6


def test_an_idle_user_costs_nothing_and_a_long_pause_begins_with_one_request(run: Run) -> None:
    with sandbox_of(latency_seconds=0.02) as sandbox:
        run(sandbox, come(*patches([1, 2])), wait(1), wait(900), come(*patches([3, 4, 5])), wait(1))

        assert len(sandbox.requests()) == 5


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
    assert (user.granted.elements, user.queued.elements, user.awake.read()) == ([], [], None)
    assert len(sandbox.requests()) == 1


def test_a_patch_of_nobody_fails_the_bundle(stage: tuple[Stage, Sandbox]) -> None:
    user, _ = stage
    user.key = "nobody"
    with pytest.raises(KeyError, match="no user whose patches go by 'nobody'"):
        user.process(patch(1))


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


class Stage:
    """A user's key: what one callback leaves to the next."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.now = 0.0
        self.key = "ops"
        access = Access("ops", LetIn(), TERMS)
        self.dofn = PaceDoFn(sandbox.url, [access], Delivery(), lambda: self.now)
        self.dofn.setup()
        self.queued, self.granted = Bag(), Bag()
        self.allowed, self.spent = Cell(), Cell()
        self.awake, self.worker = Cell(), Cell()
        self.grant_timer, self.send_timer, self.end_timer = Timer(), Timer(), Timer()

    def process(self, one: Patch) -> None:
        self.dofn.process(
            (self.key, one), self.queued, self.awake, self.grant_timer, self.end_timer
        )

    def grant(self) -> list[Outcome]:
        return list(
            self.dofn.grant(
                self.key, self.queued, self.granted, self.allowed, self.spent, self.awake,
                self.worker, self.grant_timer, self.send_timer, self.end_timer,
            )
        )  # fmt: skip

    def send(self) -> list[Outcome]:
        return list(
            self.dofn.send(
                self.key, self.queued, self.granted, self.allowed, self.spent,
                self.worker, self.grant_timer, self.end_timer,
            )
        )  # fmt: skip

    def end_window(self) -> list[Outcome]:
        return list(self.dofn.window_ends(self.queued, self.granted, self.grant_timer))

    def budget(self) -> Budget:
        return Budget.load(self.spent.read(), TERMS)

    def probe(self) -> None:
        """Sends one patch, so that the budget has heard from the server."""
        self.process(patch(100))
        assert (self.grant(), len(self.send())) == ([], 1)


@pytest.fixture
def stage() -> Iterator[tuple[Stage, Sandbox]]:
    with sandbox_of() as sandbox:
        stage = Stage(sandbox)
        yield stage, sandbox
        stage.dofn.teardown()


def test_the_debit_is_left_to_be_committed_before_anything_is_sent(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    for one in patches(range(1, 6)):
        user.process(one)

    user.grant()

    assert len(sandbox.requests()) == 1, "granting sends nothing"
    assert len(user.granted.elements) == 5
    assert user.budget().in_flight == user.allowed.read() >= 5
    assert user.budget().available(0.0) == ALLOWANCE - 1 - user.allowed.read()
    user.send()
    assert user.budget().in_flight == 0
    assert user.budget().available(0.0) == ALLOWANCE - 6


def test_a_turn_that_is_run_again_spends_no_more_than_it_was_granted(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    for one in patches(range(1, 6)):
        user.process(one)
    user.grant()
    committed = [cell.copy() for cell in (user.queued, user.granted, user.allowed, user.spent)]
    user.send()  # and the worker is lost before that is committed

    user.queued, user.granted, user.allowed, user.spent = committed  # type: ignore[assignment]
    outcomes = user.send()

    assert tally(outcomes) == {"delivered": 5}
    assert user.budget().in_flight == 0
    assert user.budget().available(0.0) <= ALLOWANCE - 6
    assert values(sandbox).keys() == {1, 2, 3, 4, 5, 100}


def test_what_comes_amid_a_turn_waits_for_the_next_and_takes_no_budget_of_its_own(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, _ = stage
    user.probe()
    user.process(patch(1))
    user.grant_timer.at = None  # it fires
    user.grant()
    granted = user.budget().in_flight

    user.process(patch(2))

    assert (user.grant_timer.at, user.send_timer.at) == (None, 0.0)
    assert user.budget().in_flight == granted
    assert tally(user.send()) == {"delivered": 1}
    assert user.grant_timer.at == 0.0
    assert (user.grant(), tally(user.send())) == ([], {"delivered": 1})


def test_what_comes_after_trouble_of_others_begins_a_turn_at_once(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant()) == ([], [], [])
    assert user.grant_timer.at == 400.0

    sandbox.set_faults(error_500=0.0)
    user.process(patch(2))

    assert user.grant_timer.at == 0.0
    assert (user.grant(), tally(user.send())) == ([], {"delivered": 1})


def test_what_comes_for_a_prospect_that_met_trouble_waits_with_it(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    user.grant()
    user.process(patch(1, custom5="x"))
    user.send()

    user.grant()

    assert (user.grant_timer.at, len(user.queued.elements)) == (400.0, 1)
    assert len(user.queued.elements[0].changes) == 2


def test_what_comes_amid_the_turn_of_what_met_trouble_begins_no_other(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    sandbox.set_faults(error_500=1.0)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant()) == ([], [], [])
    user.now, user.grant_timer.at = 400.0, None  # it fires
    user.grant()

    user.process(patch(2))

    assert (user.grant_timer.at, user.send_timer.at) == (None, 400.0)


def test_what_comes_while_the_server_is_left_alone_begins_no_turn(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    sandbox.maintain(100)
    user.process(patch(1))
    assert (user.grant(), user.send(), user.grant_timer.at) == ([], [], 100.0)

    user.process(patch(2))

    assert user.grant_timer.at == 100.0


def test_a_key_with_nothing_to_send_sets_no_timer(stage: tuple[Stage, Sandbox]) -> None:
    user, _ = stage
    user.probe()
    user.grant_timer.at = user.send_timer.at = None

    user.grant()

    assert (user.grant_timer.at, user.send_timer.at, user.awake.read()) == (None, None, None)


def test_a_worker_that_takes_over_sends_one_alone_before_it_trusts_the_count(
    stage: tuple[Stage, Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _ = stage
    user.probe()
    monkeypatch.setattr(patch_stateful, "PROCESS", "another")
    for one in patches(range(1, 6)):
        user.process(one)

    user.grant()
    assert len(user.granted.elements) == 1
    user.send()
    user.grant()
    assert len(user.granted.elements) == 4


def test_nothing_that_is_far_ahead_keeps_a_drained_job_waiting(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, sandbox = stage
    user.probe()
    user.process(patch(1))
    user.grant_timer.at = 3600.0

    ended_ = user.end_window()

    assert tally(ended_) == {"deferred": 1}
    assert user.grant_timer.at == user.now
    assert (user.grant(), user.send()) == ([], [])
    assert user.grant_timer.at == user.now, "it is not set again for nothing"
    assert len(sandbox.requests()) == 1


def test_what_a_turn_leaves_undone_after_the_end_is_deferred_as_well(
    stage: tuple[Stage, Sandbox],
) -> None:
    user, _ = stage
    user.process(patch(1))
    user.end_timer.at = None  # it has fired

    user.grant()
    user.send()

    assert user.end_timer.at is not None
