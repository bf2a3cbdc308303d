"""A delivery that is stopped, late, cancelled or failing ends with nothing lost."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.changes import patches
from tests.support.in_process.delivering import (
    Sent,
    Table,
    deliver,
    deliver_to,
    delivering,
    error,
    prospects_of,
    until_it_waits,
)
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms
from transforms.clock import steady
from transforms.elements import Outcome
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender import Sender

pytestmark = pytest.mark.real


def test_a_stopped_sender_ends_what_is_in_flight_and_leaves_the_rest() -> None:
    with running_sandbox(SandboxOptions(prospects=60, latency_seconds=0.02)) as sandbox:
        given = patches(range(1, 61))

        def seen(sender: Sender, _: Outcome) -> None:
            if sender.standing().requests >= 10:
                sender.stop()

        sent = deliver(sandbox.url, given, seen=seen, delivery=Delivery(in_flight=4))

        asked = len(sandbox.requests())
        assert 10 <= asked <= 14
        assert sent.tally == {"delivered": asked}
        assert prospects_of(sent.left) == prospects_of(given)[asked:]


def test_time_that_is_up_ends_what_is_in_flight_and_leaves_the_rest() -> None:
    with running_sandbox(SandboxOptions(prospects=60, latency_seconds=0.05)) as sandbox:
        sent = deliver(
            sandbox.url,
            patches(range(1, 61)),
            until=steady() + 0.2,
            delivery=Delivery(in_flight=4),
        )

        assert 0 < len(sent.left) < 60
        assert sent.tally == {"delivered": 60 - len(sent.left)}
        assert len(sandbox.requests()) == 60 - len(sent.left)


def test_a_delivery_is_over_when_nothing_can_be_sent_before_its_time_is_up() -> None:
    announced = error("scheduledServerMaintenance")
    later = datetime.fromtimestamp(time.time() + 60, UTC).isoformat()
    table = Table(lambda _, __: (503, {"Retry-After": later}, announced))

    began = time.monotonic()
    sent = deliver_to(table, patches([1, 2]), until=steady() + 30)

    assert time.monotonic() - began < 1
    assert all(one.not_before / 1e6 - steady() > 55 for one in sent.left)
    assert (sent.standing.waits_for, len(table.asked)) == ("", 1)


class Slow:
    """A credential whose token comes only when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.come = asyncio.Event()

    async def token(self, now: float) -> str:
        del now
        self.asked.set()
        await self.come.wait()
        return "good"

    async def refused(self, token: str, now: float) -> None:
        raise AssertionError((token, now))


def test_nothing_is_sent_by_a_sender_stopped_while_it_waits_for_a_token(sandbox: Sandbox) -> None:
    async def run() -> Sent:
        credential = Slow()

        async def stop(sender: Sender, _: list[Outcome]) -> None:
            await credential.asked.wait()
            sender.stop()
            credential.come.set()

        return await asyncio.wait_for(
            delivering(sandbox.url, patches([1, 2]), credential=credential, act=stop), 5
        )

    sent = asyncio.run(run())

    assert prospects_of(sent.left) == [1, 2]
    assert sandbox.requests() == []


def test_a_sender_stopped_while_its_budget_is_spent_does_not_wait_for_it(
    sandbox: Sandbox,
) -> None:
    budget = Budget(BudgetTerms(1, 3600.0, 0))

    async def stop(sender: Sender, _: list[Outcome]) -> None:
        assert await until_it_waits(sender) == "budget"
        sender.stop()

    began = time.monotonic()
    sent = deliver(sandbox.url, patches([1, 2]), budget=budget, act=stop)

    assert sent.tally == {"delivered": 1}
    assert time.monotonic() - began < 2


def test_an_abandoned_sender_awaits_no_answer_and_leaves_what_was_in_flight_too() -> None:
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=30)) as sandbox:
        budget = Budget(BudgetTerms(100, 3600.0, 0))
        given = patches(range(1, 10))

        async def abandon(sender: Sender, _: list[Outcome]) -> None:
            while not sandbox.requests():  # noqa: ASYNC110 - it tells nobody, it is asked
                await asyncio.sleep(0.01)
            sender.abandon()

        began = time.monotonic()
        sent = deliver(sandbox.url, given, budget=budget, act=abandon)

        assert time.monotonic() - began < 5
        assert sorted(prospects_of(sent.left)) == prospects_of(given)
        assert budget.in_flight == 0
        assert budget.available(steady()) == 99, "it may have reached the server"


def test_a_cancelled_delivery_leaves_no_request_granted_and_no_task_behind() -> None:
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=5)) as sandbox:
        budget = Budget(BudgetTerms(100, 3600.0, 0))

        async def run() -> set[asyncio.Task[object]]:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(
                    delivering(sandbox.url, patches(range(1, 10)), budget=budget), 0.1
                )
            return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]

        assert asyncio.run(run()) == set()
        assert budget.in_flight == 0
        assert budget.available(steady()) == 99, "it may have reached the server"


def test_a_failure_of_our_own_ends_the_delivery_and_leaves_no_request_granted() -> None:
    with running_sandbox(SandboxOptions(prospects=9, latency_seconds=0.02)) as sandbox:
        budget = Budget(BudgetTerms(100, 3600.0, 0))

        def seen(_: Sender, __: Outcome) -> None:
            if budget.in_flight > 1:
                raise RuntimeError("no room for this receipt")

        async def run() -> int:
            with pytest.raises(RuntimeError, match="no room"):
                await delivering(sandbox.url, patches(range(1, 10)), budget=budget, seen=seen)
            return budget.in_flight

        assert asyncio.run(run()) == 0
