from __future__ import annotations

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.options import WindowKind
from pipeline.sandbox.rate_limit import Allowance, headers, too_many
from tests.support.servers.sandbox_client import Clock, patch

KINDS: list[WindowKind] = ["fixed", "clock", "sliding"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_than_the_limit_is_let_through_in_a_window(kind: WindowKind) -> None:
    allowance = Allowance(3, 60, kind)
    assert [allowance.spend(600 + n).allowed for n in range(5)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_remaining_is_counted_before_the_answer(kind: WindowKind) -> None:
    allowance = Allowance(3, 60, kind)
    assert [allowance.spend(600).remaining for _ in range(4)] == [2, 1, 0, 0]


def test_a_fixed_window_opens_with_the_first_request_after_the_last_closed() -> None:
    allowance = Allowance(2, 60, "fixed")
    assert allowance.spend(90).reset == 150
    assert allowance.spend(149).reset == 150
    assert not allowance.spend(149.9).allowed
    later = allowance.spend(170)
    assert (later.allowed, later.remaining, later.reset) == (True, 1, 230)


def test_a_window_on_the_clock_opens_at_each_multiple_of_its_length() -> None:
    allowance = Allowance(1, 60, "clock")
    assert allowance.spend(119).reset == 120
    assert allowance.spend(120).allowed


def test_a_sliding_window_gives_back_each_request_as_it_grows_old() -> None:
    allowance = Allowance(2, 60, "sliding")
    allowance.spend(100)
    allowance.spend(130)
    refused = allowance.spend(159.9)
    assert (refused.allowed, refused.reset) == (False, 160)
    assert allowance.spend(160).allowed
    assert not allowance.spend(161).allowed


def test_a_refused_request_costs_nothing() -> None:
    allowance = Allowance(1, 60, "sliding")
    allowance.spend(100)
    for now in range(101, 159):
        allowance.spend(now)
    assert allowance.remaining(160) == 1


def test_two_windows_worth_across_the_border_are_let_through_and_told() -> None:
    allowance = Allowance(2, 60, "clock")
    standings = [allowance.spend(now) for now in (118, 119, 121, 122)]
    assert [each.allowed for each in standings] == [True] * 4
    assert [each.over for each in standings] == [False, False, True, True]


def test_other_tools_spend_from_the_same_budget_but_are_not_this_clients_fault() -> None:
    allowance = Allowance(10, 60, "fixed")
    assert allowance.spend_elsewhere(8, 600) == 8
    assert allowance.spend_elsewhere(8, 600) == 2
    standing = allowance.spend(601)
    assert (standing.allowed, standing.over) == (False, False)


def test_the_plot_tells_own_foreign_and_refused_requests_apart() -> None:
    allowance = Allowance(3, 240, "fixed")
    allowance.spend(1_000.1)
    allowance.spend_elsewhere(2, 1_000.5)
    allowance.spend(1_001.5)
    points = [(p.at, p.own, p.foreign, p.refused, p.remaining) for p in allowance.usage(1_002)]
    assert points == [(1_000, 1, 2, 0, 0), (1_001, 0, 0, 1, 0)]


def test_the_headers_and_the_refusal_read_as_outreach_documents_them() -> None:
    allowance = Allowance(10_000, 3_600, "fixed")
    standing = allowance.spend(1_483_225_200 - 3_600)
    assert headers(standing, 10_000) == {
        "X-RateLimit-Limit": "10000",
        "X-RateLimit-Remaining": "9999, 19988",
        "X-RateLimit-Reset": "1483225200",
    }
    detail, retry_after = too_many(standing, 10_000)
    assert detail == (
        "You have exceeded your permitted rate limit of 10,000; "
        "please try again at 2016-12-31T23:00:00."
    )
    assert retry_after == "1483225200"


@pytest.mark.real
def test_an_exhausted_user_is_refused_until_the_instant_that_it_was_told() -> None:
    clock = Clock()
    options = SandboxOptions(prospects=1, limit=2, hour=60, tokens={"a": "ann", "b": "bob"})
    with running_sandbox(options, clock) as sandbox:
        assert patch(sandbox, 1, "a", custom1="x").headers["X-RateLimit-Remaining"].startswith("1,")
        assert patch(sandbox, 1, "a", custom1="y").status == 200
        refused = patch(sandbox, 1, "a", custom1="z")
        assert refused.status == 429
        assert refused.error["id"] == "rateLimitExceeded"
        assert refused.headers["Retry-After"] == refused.headers["X-RateLimit-Reset"]
        assert patch(sandbox, 1, "b", custom2="bob's budget is his own").status == 200
        assert sandbox.prospects()[1]["custom1"] == "y"
        clock.now = float(refused.headers["Retry-After"])
        assert patch(sandbox, 1, "a", custom1="z").status == 200
        assert [each.kind for each in sandbox.violations()] == ["over_limit"]


@pytest.mark.real
def test_asking_again_before_the_instant_of_a_429_is_a_violation() -> None:
    clock = Clock()
    with running_sandbox(SandboxOptions(prospects=1, limit=1, hour=60), clock) as sandbox:
        patch(sandbox, 1)
        patch(sandbox, 1)
        clock.now += 0.5
        patch(sandbox, 1)
        assert "impatient" not in [each.kind for each in sandbox.violations()]
        clock.now += 1.0
        patch(sandbox, 1)
        assert sandbox.violations()[-1].kind == "impatient"


@pytest.mark.real
def test_no_limit_means_no_headers_either() -> None:
    with running_sandbox(SandboxOptions(prospects=1, limit=0)) as sandbox:
        assert not [name for name in patch(sandbox, 1).headers if name.startswith("X-RateLimit")]


@pytest.mark.real
def test_foreign_tools_spend_evenly_between_requests() -> None:
    clock = Clock()
    options = SandboxOptions(prospects=1, limit=100, hour=60, foreign_per_hour=60)
    with running_sandbox(options, clock) as sandbox:

        def remaining() -> int:
            return int(patch(sandbox, 1).headers["X-RateLimit-Remaining"].split(",")[0])

        assert remaining() == 99
        clock.now += 10.5
        assert remaining() == 88
        clock.now += 0.5
        assert remaining() == 86
        assert sandbox.spend_elsewhere("user-1", 80) == 80
        assert remaining() == 5
