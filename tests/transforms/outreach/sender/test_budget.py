"""The budget is waited for, shared with others, and heeded when the server says 429."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from tests.support.data.changes import patches
from tests.support.in_process.delivering import (
    deliver,
    prospects_of,
    statuses,
)
from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.clock import steady
from transforms.elements import Outcome
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender import Sender

pytestmark = pytest.mark.real


def test_a_spent_budget_is_waited_for_and_said_to_be() -> None:
    terms = BudgetTerms(20, 0.3, 0)
    with running_sandbox(SandboxOptions(prospects=30)) as sandbox:
        waits: list[tuple[str, float]] = []

        async def look(sender: Sender, _: list[Outcome]) -> None:
            while True:
                standing = sender.standing()
                if standing.waits_for and standing.resumes_at is not None:
                    waits.append((standing.waits_for, standing.resumes_at - steady()))
                await asyncio.sleep(0.005)

        sent = deliver(sandbox.url, patches(range(1, 31)), budget=Budget(terms), act=look)

        assert sent.tally == {"delivered": 30}
        assert {why for why, _ in waits} == {"budget"}
        assert all(-0.05 < seconds <= 0.31 for _, seconds in waits)
        assert 0.1 < sent.standing.throttled_seconds < 0.5
        assert (sent.standing.waits_for, sent.standing.resumes_at) == ("", None)


def test_what_others_spend_of_the_budget_is_heeded_and_nothing_refused() -> None:
    with running_sandbox(SandboxOptions(prospects=60, limit=50, hour=0.6)) as sandbox:
        sandbox.spend_elsewhere("user-1", 0)  # the user is known before it asks
        spent: list[int] = []

        def seen(_: Sender, __: Outcome) -> None:
            if not spent:
                spent.append(sandbox.spend_elsewhere("user-1", 35))

        sent = deliver(
            sandbox.url,
            patches(range(1, 61)),
            budget=Budget(BudgetTerms(50, 0.6, 5)),
            delivery=Delivery(in_flight=4),
            seen=seen,
        )

        assert spent == [35]
        assert sent.tally == {"delivered": 60}
        assert sent.standing.throttled == 0
        assert sandbox.violations() == []


def test_a_429_keeps_the_work_and_is_not_asked_about_before_its_time() -> None:
    with running_sandbox(SandboxOptions(prospects=40, limit=30, hour=0.4)) as sandbox:

        def seen(_: Sender, __: Outcome) -> None:
            if len(sandbox.requests()) == 1:
                sandbox.spend_elsewhere("user-1", 29)

        sent = deliver(
            sandbox.url,
            patches(range(1, 41)),
            budget=Budget(BudgetTerms(1000, 0.4, 0)),
            delivery=Delivery(in_flight=4),
            seen=seen,
        )

        assert sent.tally == {"delivered": 40}
        assert 1 <= sent.standing.throttled <= 4
        assert statuses(sandbox).count(429) == sent.standing.throttled
        assert sandbox.violations() == []


def test_a_spent_allotment_is_not_waited_for_and_what_is_in_flight_ends() -> None:
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=0.03)) as sandbox:
        budget = Budget(BudgetTerms(100, 3600.0, 0))
        budget.take(1, steady())
        budget.learn(RateLimits(100, 99, None), steady(), answers_when_sent=0)
        granted, _ = budget.take(5, steady())
        grant = Grant(budget, granted)
        reasons: set[str] = set()

        async def look(sender: Sender, _: list[Outcome]) -> None:
            while True:
                reasons.add(sender.standing().waits_for)
                await asyncio.sleep(0.005)

        sent = deliver(sandbox.url, patches(range(1, 10)), budget=grant, act=look)

        assert sent.tally == {"delivered": 5}
        assert prospects_of(sent.left) == [6, 7, 8, 9]
        assert reasons == {""}
        assert sent.standing.throttled_seconds == 0
        assert budget.in_flight == 0
