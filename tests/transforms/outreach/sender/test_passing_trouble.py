"""Trouble that passes is waited out, and given up after its time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.data.changes import patch, patches
from tests.support.in_process.delivering import (
    OK,
    Answer,
    Asked,
    Table,
    deliver,
    deliver_to,
    error,
    prospects_of,
    statuses,
    until_it_waits,
    values,
)
from transforms.clock import steady
from transforms.elements import Outcome
from transforms.errors import Trouble
from transforms.outreach.client import Timeouts
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender import Sender

pytestmark = pytest.mark.real


def test_a_server_in_trouble_is_asked_again_and_each_change_delivered() -> None:
    faults = FaultSettings(error_500=0.2, error_502=0.1, reset_before=0.1, reset_after=0.1)
    with running_sandbox(SandboxOptions(prospects=60, faults=faults)) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 61)))

        assert sent.tally == {"delivered": 60}
        assert values(sandbox) == dict.fromkeys(range(1, 61), "realized")
        assert {500, 502, None, 200} == set(statuses(sandbox))
        assert sandbox.violations() == []


def test_what_is_never_answered_is_asked_again() -> None:
    with running_sandbox(
        SandboxOptions(prospects=30, faults=FaultSettings(timeout=0.3))
    ) as sandbox:
        short = Timeouts(total_seconds=0.15)

        sent = deliver(sandbox.url, patches(range(1, 31)), timeouts=short)

        assert sent.tally == {"delivered": 30}
        assert None in statuses(sandbox)
        assert sandbox.violations() == []


def test_where_nobody_listens_nothing_is_lost_and_no_budget_is_spent() -> None:
    with running_sandbox() as sandbox:
        url = sandbox.url

    async def soon(sender: Sender, _: list[Outcome]) -> None:
        seen.append(await until_it_waits(sender))
        sender.stop()

    seen: list[str] = []
    sent = deliver(url, patches(range(1, 41)), act=soon)

    assert len(sent.left) == 40
    assert "no connection to 127.0.0.1" in seen[0]
    assert (sent.standing.waits_for, sent.standing.resumes_at) == ("", None)
    assert sent.standing.requests == 0
    assert sent.budget.available(steady()) == 100_000


def test_a_prospect_in_trouble_does_not_hold_up_the_others() -> None:
    table = Table(lambda asked, _: (500, {}, "oops") if asked.prospect == 3 else OK)

    def seen(sender: Sender, _: Outcome) -> None:
        if sender.standing().waiting + sender.standing().in_flight <= 2:
            sender.stop()

    began = time.monotonic()
    sent = deliver_to(table, patches(range(1, 201)), seen=seen)

    assert sent.tally == {"delivered": 199}
    assert prospects_of(sent.left) == [3]
    assert sent.left[0].attempts >= 1
    assert sent.left[0].troubled_since is not None
    assert time.monotonic() - began < 3


def test_a_server_wholly_in_trouble_is_asked_one_at_a_time_until_it_answers() -> None:
    table = Table(lambda _, before: (500, {}, "oops") if before < 12 else OK, delay_seconds=0.005)

    sent = deliver_to(table, patches(range(1, 41)), delivery=Delivery(in_flight=4))

    assert sent.tally == {"delivered": 40}
    beside = [each.beside for each in table.asked]
    assert max(beside[:5]) == 3
    assert set(beside[8:13]) == {0}
    assert max(beside[13:]) == 3


class FastClock:
    """The real clock, and an hour more for each request that a table was asked."""

    def __init__(self) -> None:
        self.table: Table | None = None

    def __call__(self) -> float:
        return steady() + 3600.0 * (len(self.table.asked) if self.table else 0)


def test_a_patch_that_meets_nothing_but_trouble_is_given_up_after_its_time() -> None:
    clock = FastClock()
    clock.table = Table(lambda asked, _: (500, {}, "oops") if asked.prospect == 1 else OK)

    sent = deliver_to(
        clock.table,
        [patch(1, custom4="a", custom5="b"), patch(2)],
        clock=clock,
        delivery=Delivery(give_up_seconds=5 * 3600.0),
    )

    assert sent.tally == {"delivered": 1, "rejected": 2}
    (rejected,) = sent.of("rejected")
    assert (rejected.reason, rejected.http_status) == ("unavailable", 500)
    assert 5 <= sum(each.prospect == 1 for each in clock.table.asked) <= 7


def test_the_trouble_that_a_patch_met_before_counts() -> None:
    table = Table(lambda _, __: (500, {}, "oops"))
    since = round((steady() - 25 * 3600.0) * 1_000_000)
    old = patch(1)._replace(attempts=40, troubled_since=since)

    sent = deliver_to(table, [old])

    assert sent.tally == {"rejected": 1}
    assert len(table.asked) == 1


def test_trouble_that_passed_does_not_count_towards_giving_up() -> None:
    clock = FastClock()
    vague = error("validationError", pointer="/data")

    def answers(asked: Asked, before: int) -> Answer:
        if before % 2:
            return 500, {}, "oops"
        return (422, {}, vague) if len(asked.attributes) > 1 else OK

    clock.table = Table(answers)
    sent = deliver_to(
        clock.table,
        [patch(1, custom4="a", custom5="b", custom6="c", custom7="d")],
        clock=clock,
        delivery=Delivery(give_up_seconds=3 * 3600.0),
    )

    assert sent.tally == {"delivered": 4}


def test_announced_maintenance_is_waited_for_and_its_reason_shown(sandbox: Sandbox) -> None:
    sandbox.maintain(0.25)  # announced in whole seconds
    reasons: set[str] = set()

    async def look(sender: Sender, _: list[Outcome]) -> None:
        while True:
            standing = sender.standing()
            if standing.waits_for:
                reasons.add(standing.waits_for)
                assert standing.resumes_at is not None
            await asyncio.sleep(0.005)

    sent = deliver(sandbox.url, patches(range(1, 41)), act=look)

    assert sent.tally == {"delivered": 40}
    assert statuses(sandbox).count(503) == 1, "the first goes alone, and then nobody asks"
    assert len(reasons) == 1
    assert "maintenance" in reasons.pop()
    assert sent.standing.throttled_seconds > 0


def test_maintenance_that_should_be_over_is_not_asked_about_at_once_again() -> None:
    past = {"Retry-After": "2020-01-01T00:00:00Z"}
    announced = error("scheduledServerMaintenance")
    table = Table(lambda _, before: (503, past, announced) if before < 4 else OK)

    sent = deliver_to(table, patches(range(1, 41)))

    assert sent.tally == {"delivered": 40}
    assert len(table.asked) == 44, "one at a time, until one was answered"


def test_a_busy_server_that_names_a_time_is_not_asked_before() -> None:
    wait = 0.15

    def answers(_: Asked, before: int) -> Answer:
        if before:
            return OK
        at = datetime.fromtimestamp(time.time() + wait, UTC).isoformat(timespec="milliseconds")
        return 503, {"Retry-After": at}, "busy"

    began = time.monotonic()
    sent = deliver_to(Table(answers), [patch(1)])

    assert sent.tally == {"delivered": 1}
    assert time.monotonic() - began >= wait - 0.01


class Unwell:
    """A credential whose token endpoint is in trouble for a while."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def token(self, now: float) -> str:
        del now
        self.times -= 1
        if self.times >= 0:
            raise Trouble("the token endpoint answered 500")
        return "good"

    async def refused(self, token: str, now: float) -> None:
        raise AssertionError((token, now))


def test_trouble_with_the_token_is_waited_out_with_nothing_lost(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, patches(range(1, 11)), credential=Unwell(3))

    assert sent.tally == {"delivered": 10}
    assert len(sandbox.requests()) == 10
