"""The sender against the sandbox over HTTP: the fate of each answer, and who waits for what.

Only answers that the sandbox never gives come from a server of a few lines.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.custom_fields import CustomField
from pipeline.sandbox.faults import FaultSettings
from tests.support.data.changes import change, ids_of_patches, patch, patches
from tests.support.in_process.delivering import (
    OK,
    Answer,
    Asked,
    Sent,
    Table,
    Tokens,
    deliver,
    deliver_to,
    delivering,
    error,
    most_at_once,
    prospects_of,
    statuses,
    until_it_waits,
    values,
)
from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.clock import steady
from transforms.elements import Outcome, Patch
from transforms.errors import Trouble
from transforms.outreach import backoff
from transforms.outreach.client import Timeouts
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender import Sender

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "BACKOFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(backoff, "BACKOFF_MOST_SECONDS", 0.05)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running


def only(sent: Sent) -> Outcome:
    (outcome,) = sent.outcomes
    return outcome


# What is wrong with one prospect


def test_each_patch_is_delivered_once_and_the_receipt_says_by_whom(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, patches(range(1, 41)))

    assert sent.tally == {"delivered": 40}
    assert {(one.http_status, one.user, one.reason) for one in sent.outcomes} == {
        (200, "ops", None)
    }
    assert statuses(sandbox) == [200] * 40
    assert values(sandbox) == dict.fromkeys(range(1, 41), "realized")


def test_what_comes_twice_for_a_prospect_is_merged_and_sent_once(sandbox: Sandbox) -> None:
    twice = [Patch(1, "ops", [change(1, value=value, time=at)]) for at, value in enumerate("ab")]

    sent = deliver(sandbox.url, twice)

    assert sent.tally == {"superseded": 1, "delivered": 1}
    assert sandbox.prospects()[1] == {"custom4": "b"}
    assert statuses(sandbox) == [200]


def test_a_prospect_that_is_not_there_is_rejected_and_the_others_are_not(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, [patch(99, custom4="a", custom5="b"), patch(1)])

    assert sent.tally == {"rejected": 2, "delivered": 1}
    (rejected,) = sent.of("rejected")
    assert (rejected.reason, rejected.http_status, rejected.user) == ("not_found", 404, "ops")
    assert "99" in (rejected.detail or "")


def test_a_prospect_that_governance_keeps_away_is_rejected() -> None:
    with running_sandbox(SandboxOptions(prospects=2, forbidden=frozenset({1}))) as sandbox:
        sent = deliver(sandbox.url, patches([1, 2]))

        assert sent.tally == {"rejected": 1, "delivered": 1}
        (rejected,) = sent.of("rejected")
        assert (rejected.reason, rejected.http_status) == ("forbidden", 403)


def test_a_malformed_patch_is_rejected_and_not_repeated(sandbox: Sandbox) -> None:
    sent = deliver(sandbox.url, [patch(1, nonsense="x")])

    assert (only(sent).reason, only(sent).http_status) == ("bad_request", 400)
    assert statuses(sandbox) == [400]


SHORT = CustomField("prospect", "custom5", "Short", max_length=3)


def test_a_value_that_is_refused_by_name_is_dropped_and_the_rest_sent() -> None:
    with running_sandbox(SandboxOptions(prospects=1, fields=(SHORT,))) as sandbox:
        sent = deliver(sandbox.url, [patch(1, custom4="a", custom5="too long", custom6="c")])

        assert sent.tally == {"rejected": 1, "delivered": 2}
        (rejected,) = sent.of("rejected")
        assert [one.field for one in rejected.changes] == ["custom5"]
        assert (rejected.reason, rejected.http_status) == ("field_refused", 422)
        assert sandbox.prospects()[1] == {"custom4": "a", "custom6": "c"}
        assert statuses(sandbox) == [422, 200]


def test_a_value_that_is_refused_without_a_name_is_looked_for_and_the_rest_sent() -> None:
    options = SandboxOptions(prospects=1, fields=(SHORT,), vague_errors=True)
    with running_sandbox(options) as sandbox:
        fields = {f"custom{number}": f"{number}" for number in range(1, 9)}

        sent = deliver(sandbox.url, [patch(1, **fields | {"custom5": "too long"})])

        assert sent.tally == {"rejected": 1, "delivered": 7}
        assert [one.field for one in sent.of("rejected")[0].changes] == ["custom5"]
        assert sandbox.prospects()[1] == {
            name: value for name, value in fields.items() if name != "custom5"
        }
        assert Counter(statuses(sandbox)) == {422: 4, 200: 3}
        assert sandbox.violations() == []


def test_a_prospect_refused_for_a_field_that_is_not_ours_is_rejected_at_once() -> None:
    refusal = error("validationError", "Emails is invalid.", "/data/attributes/emails")
    table = Table(lambda asked, _: (422, {}, refusal) if asked.prospect == 1 else OK)

    sent = deliver_to(table, [patch(1, custom4="a", custom5="b", custom6="c"), patch(2)])

    assert sent.tally == {"rejected": 3, "delivered": 1}
    assert Counter(each.prospect for each in table.asked) == {1: 1, 2: 1}


def test_a_refusal_that_names_a_field_of_ours_and_one_that_is_not_ends_all_the_same() -> None:
    refusals = {
        "errors": [
            {"id": "validationError", "source": {"pointer": f"/data/attributes/{name}"}}
            for name in ("custom4", "emails")
        ]
    }
    table = Table(lambda _, __: (422, {}, refusals))

    sent = deliver_to(table, [patch(1, custom4="a", custom5="b")])

    assert sent.tally == {"rejected": 2}
    assert [each.attributes for each in table.asked] == [
        {"custom4": "a", "custom5": "b"},
        {"custom5": "b"},
    ]


# What is wrong with every request alike


def test_a_mistake_of_our_own_pauses_the_user_and_keeps_the_work() -> None:
    unsupported = error("unsupportedMediaType")
    table = Table(lambda _, __: (415, {}, unsupported))
    given = patches(range(1, 41))

    sent = deliver_to(table, given)

    assert sent.outcomes == []
    assert sorted(prospects_of(sent.left)) == prospects_of(given)
    assert sent.sender.paused is not None
    assert "415" in sent.sender.paused.problem
    assert len(table.asked) == 1, "the first goes alone, so nothing else is asked"


def test_a_missing_scope_pauses_the_user_and_says_which() -> None:
    options = SandboxOptions(prospects=9, tokens={"good": "ops"}, scopes=("prospects.read",))
    with running_sandbox(options) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 10)))

        assert sent.outcomes == []
        assert len(sent.left) == 9
        assert "prospects.write" in str(sent.sender.paused)
        assert statuses(sandbox) == [403]


def test_a_refused_token_is_replaced_and_the_request_repeated() -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "ops"})) as sandbox:
        credential = Tokens(["expired", "good"])

        sent = deliver(sandbox.url, patches(range(1, 41)), credential=credential)

        assert sent.tally == {"delivered": 40}
        assert sent.sender.paused is None
        assert credential.refused_tokens == ["expired"]


def test_a_token_that_ends_under_way_costs_no_change() -> None:
    ended: list[str] = []

    def answers(asked: Asked, before: int) -> Answer:
        if before >= 20:
            ended.append("first") if not ended else None
        refused = asked.token in ended
        return (401, {}, {"error": "Invalid JWT token."}) if refused else OK

    table = Table(answers, delay_seconds=0.005)
    credential = Tokens(["first", "second"])

    sent = deliver_to(table, patches(range(1, 81)), credential=credential)

    assert sent.tally == {"delivered": 80}
    assert sent.sender.paused is None
    assert set(credential.refused_tokens) == {"first"}


def test_a_fresh_token_that_is_refused_too_pauses_the_user_and_keeps_all_patches() -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "ops"})) as sandbox:
        given = patches(range(1, 41))

        sent = deliver(sandbox.url, given, credential=Tokens(["bad", "worse", "worst"]))

        assert sent.outcomes == []
        assert ids_of_patches(sent.left) == ids_of_patches(given)
        assert "fresh token is refused too" in str(sent.sender.paused)
        assert len(sandbox.requests()) == 2
        assert sent.standing.waits_for == ""


def test_a_user_without_another_token_is_paused_with_the_remedy() -> None:
    with running_sandbox(SandboxOptions(prospects=4, tokens={"good": "ops"})) as sandbox:
        sent = deliver(sandbox.url, patches(range(1, 5)), credential=Tokens(["bad"]))

        assert len(sent.left) == 4
        assert sent.sender.paused is not None
        assert sent.sender.paused.remedy == "connect the user again"


def test_a_pause_lets_what_is_in_flight_end() -> None:
    scope = error("unauthorizedOauthScope", "missing required scope 'prospects.write'")

    def answers(_: Asked, before: int) -> Answer:
        return (403, {}, scope) if before == 5 else OK

    table = Table(answers, delay_seconds=0.01)

    sent = deliver_to(table, patches(range(1, 41)))

    assert len(table.asked) < 40
    assert sent.tally == {"delivered": len(table.asked) - 1}
    assert len(sent.left) == 41 - len(table.asked)


# Trouble that passes


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


# The budget


def test_the_first_request_goes_alone() -> None:
    with running_sandbox(SandboxOptions(prospects=20, latency_seconds=0.05)) as sandbox:
        deliver(sandbox.url, patches(range(1, 21)))

        first, *others = sandbox.requests()
        assert first.finished_at is not None
        assert all(each.started_at >= first.finished_at for each in others)


def test_so_many_are_in_flight_and_never_more_nor_two_for_one_prospect() -> None:
    options = SandboxOptions(prospects=40, latency_seconds=0.03)
    with running_sandbox(options) as sandbox:
        deliver(sandbox.url, patches(range(1, 41)), delivery=Delivery(in_flight=5))

        assert most_at_once(sandbox) == 5
        assert sandbox.violations() == []


def test_two_are_never_in_flight_for_one_prospect_whatever_goes_wrong() -> None:
    options = SandboxOptions(
        prospects=20,
        latency_seconds=0.01,
        fields=(SHORT,),
        vague_errors=True,
        faults=FaultSettings(error_500=0.2, reset_after=0.2, slow=0.2, slow_seconds=0.05),
    )
    with running_sandbox(options) as sandbox:
        given = patches(range(1, 21), custom4="a", custom5="too long", custom6="c")

        sent = deliver(sandbox.url, given)

        assert sent.tally == {"delivered": 40, "rejected": 20}
        assert sandbox.violations() == []


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


# Ends before the end


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


# All at once


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_each_change_ends_once_and_the_values_are_right(seed: int) -> None:
    options = SandboxOptions(
        prospects=120,
        limit=120,
        hour=0.4,
        window="sliding",
        forbidden=frozenset({5, 50}),
        fields=(SHORT,),
        seed=seed,
        faults=FaultSettings(
            error_500=0.05,
            error_502=0.05,
            reset_before=0.05,
            reset_after=0.05,
            slow=0.05,
            slow_seconds=0.02,
        ),
    )
    with running_sandbox(options) as sandbox:
        given = patches(range(1, 131), custom4="a", custom5="too long", custom6="c")

        sent = deliver(sandbox.url, given, budget=Budget(BudgetTerms(120, 0.4, 10)))

        there = set(range(1, 121)) - {5, 50}
        assert sent.left == []
        assert sent.tally == {"delivered": 2 * len(there), "rejected": len(there) + 3 * 12}
        assert values(sandbox, "custom6") == dict.fromkeys(there, "c")
        assert sent.standing.throttled == 0
        assert sandbox.violations() == []


def test_no_token_is_in_what_people_see(caplog: pytest.LogCaptureFixture) -> None:
    with running_sandbox(SandboxOptions(prospects=2, tokens={"good": "ops"})) as sandbox:
        sent = deliver(sandbox.url, patches([1, 2]), credential=Tokens(["s3cr3t", "s3cr3t-2"]))

        seen = f"{sent.sender.paused} {sent.standing} {sent.sender!r} {caplog.text}"
        assert sent.sender.paused is not None
        assert "s3cr3t" not in seen
