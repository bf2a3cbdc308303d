"""The desk: several users side by side, from code that is not asynchronous."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.changes import ended, ids_of_patches, patches, tally
from tests.support.in_process.delivering import AMPLE, statuses
from transforms.budget.budget import Budget
from transforms.clock import steady
from transforms.elements import Outcome
from transforms.outreach import sender_pool
from transforms.outreach.auth.credentials import BearerAuth
from transforms.outreach.delivery import Delivery, UserProgress
from transforms.outreach.sender_pool import Access, SenderPool, Unsent

pytestmark = pytest.mark.real

USERS = ("anna", "ben")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    options = SandboxOptions(
        prospects=400, tokens={f"{user}-token": user for user in USERS}, latency_seconds=0.01
    )
    with running_sandbox(options) as running:
        yield running


@pytest.fixture
def pool(sandbox: Sandbox) -> Iterator[SenderPool]:
    pool = SenderPool(sandbox.url, Delivery(in_flight=4), steady)
    yield pool
    pool.close()


@pytest.fixture
def anna(monkeypatch: pytest.MonkeyPatch) -> Access:
    return access("anna", monkeypatch)


@pytest.fixture
def ben(monkeypatch: pytest.MonkeyPatch) -> Access:
    return access("ben", monkeypatch)


def access(user: str, monkeypatch: pytest.MonkeyPatch, token: str | None = None) -> Access:
    monkeypatch.setenv(f"TOKEN_OF_{user}", token or f"{user}-token")
    return Access(user, BearerAuth(f"TOKEN_OF_{user}"), AMPLE)


def budgets() -> dict[str, Budget]:
    return {user: Budget(AMPLE) for user in USERS}


def test_users_are_served_side_by_side(
    sandbox: Sandbox, pool: SenderPool, anna: Access, ben: Access
) -> None:
    given = {anna: patches(range(1, 41), "anna"), ben: patches(range(41, 81), "ben")}

    came = list(pool.deliver(given, budgets()))

    assert tally(one for one in came if isinstance(one, Outcome)) == {"delivered": 80}
    spans = {
        user: [each.started_at for each in sandbox.requests() if each.user == user]
        for user in USERS
    }
    assert max(map(min, spans.values())) < min(map(max, spans.values()))
    assert pool.requests == 80


def test_outcomes_come_while_requests_are_under_way(
    sandbox: Sandbox, pool: SenderPool, anna: Access
) -> None:
    coming = pool.deliver({anna: patches(range(1, 91), "anna")}, budgets())

    first = next(coming)

    assert isinstance(first, Outcome)
    assert len(sandbox.requests()) < 90
    assert len(list(coming)) == 89


def test_a_paused_user_keeps_its_work_and_the_others_go_on(
    pool: SenderPool, ben: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = access("anna", monkeypatch, token="wrong")
    given = {anna: patches(range(1, 11), "anna"), ben: patches(range(11, 21), "ben")}

    came = list(pool.deliver(given, budgets()))

    (left,) = [one for one in came if isinstance(one, Unsent)]
    assert (left.user, ids_of_patches(left.patches)) == ("anna", ids_of_patches(given[anna]))
    assert "TOKEN_OF_anna" in str(left.paused)
    assert tally(one for one in came if isinstance(one, Outcome)) == {"delivered": 10}


def test_a_watcher_sees_each_user_and_may_drain_them(
    sandbox: Sandbox, pool: SenderPool, anna: Access, ben: Access
) -> None:
    seen: list[Sequence[UserProgress]] = []

    def watch(standings: Sequence[UserProgress]) -> bool:
        seen.append(standings)
        return True

    given = {anna: patches(range(1, 91), "anna"), ben: patches(range(91, 181), "ben")}

    came = list(pool.deliver(given, budgets(), watch))

    outcomes = [one for one in came if isinstance(one, Outcome)]
    left = {one.user: one for one in came if isinstance(one, Unsent)}
    assert [standing.user for standing in seen[0]] == ["anna", "ben"]
    assert left.keys() == {"anna", "ben"}
    assert all(one.paused is None for one in left.values())
    undone = [each for one in left.values() for each in one.patches]
    assert sorted(ended(outcomes) + ids_of_patches(undone)) == ids_of_patches(
        [*given[anna], *given[ben]]
    )
    assert len(outcomes) == len(sandbox.requests())


def test_who_does_not_read_to_the_end_leaves_nothing_running(
    sandbox: Sandbox, pool: SenderPool, anna: Access
) -> None:
    spending = budgets()
    coming = pool.deliver({anna: patches(range(1, 91), "anna")}, spending)
    next(coming)

    coming.close()  # type: ignore[attr-defined]

    assert spending["anna"].in_flight == 0
    assert 0 < pool.requests < 90
    before = pool.requests
    assert tally(pool.deliver({anna: patches([91], "anna")}, spending)) == {"delivered": 1}
    assert pool.requests == before + 1
    assert len(sandbox.requests()) <= before + 1


def test_a_failure_of_one_sender_ends_all_and_leaves_no_grant(
    sandbox: Sandbox, pool: SenderPool, anna: Access, ben: Access
) -> None:
    class Broken(Budget):
        def learn(self, *_: object, **__: object) -> None:
            raise RuntimeError("a bug")

    spending = {"anna": Broken(AMPLE), "ben": Budget(AMPLE)}
    given = {anna: patches(range(1, 9), "anna"), ben: patches(range(9, 99), "ben")}

    with pytest.raises(RuntimeError, match="a bug"):
        list(pool.deliver(given, spending))

    assert spending["ben"].in_flight == 0
    assert len(sandbox.requests()) < 90


def test_time_that_is_up_leaves_the_rest(pool: SenderPool, anna: Access) -> None:
    given = patches(range(1, 91), "anna")

    came = list(pool.deliver({anna: given}, budgets(), until=steady() + 0.05))

    (left,) = [one for one in came if isinstance(one, Unsent)]
    assert (left.paused, len(left.patches) + len(came) - 1) == (None, 90)


def test_a_drain_awaits_answers_for_a_while_and_then_leaves_them(
    anna: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_pool, "GRACE_SECONDS", 0.5)
    given = {anna: patches([1, 2], "anna")}
    options = SandboxOptions(prospects=9, tokens={"anna-token": "anna"}, latency_seconds=30)
    with running_sandbox(options) as sandbox:
        pool = SenderPool(sandbox.url, Delivery(), steady)
        began = time.monotonic()

        (left,) = pool.deliver(given, budgets(), lambda _: bool(sandbox.requests()))

        assert isinstance(left, Unsent)
        assert left.paused is None
        assert sorted(each.outreach_id for each in left.patches) == [1, 2]
        assert 0.5 < time.monotonic() - began < 5
        pool.close()


def test_what_a_user_met_is_known_to_the_next_delivery(
    sandbox: Sandbox, pool: SenderPool, anna: Access
) -> None:
    sandbox.maintain(30)
    (left,) = pool.deliver({anna: patches([1], "anna")}, budgets(), until=steady() + 1)
    assert isinstance(left, Unsent)

    began = time.monotonic()
    (left,) = pool.deliver({anna: patches([2], "anna")}, budgets(), until=steady() + 1)

    assert isinstance(left, Unsent)
    assert pool.held_until("anna") > steady() + 20
    assert left.patches[0].not_before > (steady() + 20) * 1_000_000
    assert time.monotonic() - began < 0.5
    assert statuses(sandbox) == [503], "nobody asks again before the time that was named"


def test_an_empty_desk_delivers_nothing_and_closes(sandbox: Sandbox) -> None:
    pool = SenderPool(sandbox.url, Delivery(), steady)

    assert list(pool.deliver({}, {})) == []
    pool.close()
