from __future__ import annotations

import http.client
import random
import time
from collections import Counter
from typing import Any

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from pipeline.sandbox.faults import API_FAULTS, Faults, FaultSettings, changed
from tests.support.servers.sandbox_client import Clock, Reply, ask, patch

pytestmark = pytest.mark.real


def _control(sandbox: Sandbox, method: str, path: str, body: object = None) -> Reply:
    return ask(sandbox, method, path, body, token=None, content_type="application/json")


def _always(fault: str, **settings: Any) -> SandboxOptions:
    return SandboxOptions(prospects=2, faults=FaultSettings(**{fault: 1.0}, **settings))


def test_the_same_requests_suffer_whatever_their_order() -> None:
    paths = [f"/api/v2/prospects/{number}" for number in range(500)]
    shuffled = random.Random(1).sample(paths, len(paths))
    settings = FaultSettings(error_500=0.1, reset_after=0.1)
    first, second = Faults(settings, 7), Faults(settings, 7)
    drawn = {path: first.befalling("PATCH", path) for path in paths}
    assert drawn == {path: second.befalling("PATCH", path) for path in shuffled}
    again = {path: first.befalling("PATCH", path) for path in paths}
    assert again != drawn
    other = Faults(settings, 8)
    assert drawn != {path: other.befalling("PATCH", path) for path in paths}


def test_each_fault_strikes_about_as_often_as_its_rate() -> None:
    faults = Faults(FaultSettings(error_500=0.1, timeout=0.3), 0)
    drawn = Counter(faults.befalling("PATCH", str(number)) for number in range(10_000))
    assert drawn["error_500"] == pytest.approx(1_000, rel=0.1)
    assert drawn["timeout"] == pytest.approx(3_000, rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"error_500": 1.1},
        {"error_500": -0.1},
        {"error_500": 0.6, "timeout": 0.6},
        {"colour": 1},
        {"slow_seconds": "long"},
        {"timeout_seconds": float("inf")},
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=min(changes)):
        changed(FaultSettings(), changes)


@pytest.mark.parametrize(("fault", "status"), [("error_500", 500), ("error_502", 502)])
def test_server_trouble_writes_nothing_and_costs_budget(fault: str, status: int) -> None:
    with running_sandbox(_always(fault)) as sandbox:
        reply = patch(sandbox, 1, custom1="x")
        assert reply.status == status
        assert reply.headers["X-RateLimit-Remaining"].startswith("9999,")
        assert sandbox.prospects()[1] == {}
        (exchange,) = sandbox.requests()
        assert (exchange.status, exchange.fault) == (status, fault)


def test_maintenance_names_the_instant_at_which_to_try_again() -> None:
    clock = Clock(1_800_000_000)
    with running_sandbox(_always("error_503", maintenance_seconds=30), clock) as sandbox:
        reply = patch(sandbox, 1, custom1="x")
        assert (reply.status, reply.error["id"]) == (503, "scheduledServerMaintenance")
        assert reply.headers["Retry-After"] == "2027-01-15T08:00:30Z"


def test_a_maintenance_window_closes_everything_until_it_ends() -> None:
    clock = Clock()
    with running_sandbox(SandboxOptions(prospects=1), clock) as sandbox:
        sandbox.maintain(60)
        assert patch(sandbox, 1, custom1="x").status == 503
        clock.now += 60
        assert patch(sandbox, 1, custom1="x").status == 200


@pytest.mark.parametrize(("fault", "written"), [("reset_before", False), ("reset_after", True)])
def test_a_reset_comes_before_the_write_or_after_it(fault: str, written: bool) -> None:
    with running_sandbox(_always(fault)) as sandbox:
        with pytest.raises(ConnectionResetError):
            patch(sandbox, 1, custom1="x")
        assert sandbox.prospects()[1] == ({"custom1": "x"} if written else {})
        (exchange,) = sandbox.requests()
        assert (exchange.status, exchange.fault) == (None, fault)


def test_a_timeout_is_written_and_never_answered() -> None:
    with running_sandbox(_always("timeout")) as sandbox:
        body = {"data": {"type": "prospect", "id": 1, "attributes": {"custom1": "x"}}}
        with pytest.raises(TimeoutError):
            ask(sandbox, "PATCH", "/api/v2/prospects/1", body, timeout=0.1)
        assert sandbox.prospects()[1] == {"custom1": "x"}


def test_silence_ends_in_a_reset() -> None:
    with (
        running_sandbox(_always("timeout", timeout_seconds=0.05)) as sandbox,
        pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)),
    ):
        patch(sandbox, 1)


def test_a_slow_answer_comes_late() -> None:
    with running_sandbox(_always("slow", slow_seconds=0.2)) as sandbox:
        began = time.monotonic()
        assert patch(sandbox, 1, custom1="x").status == 200
        assert time.monotonic() - began >= 0.2


def test_a_gateways_hiccup_costs_neither_token_nor_budget() -> None:
    with running_sandbox(_always("unauthorized")) as sandbox:
        assert patch(sandbox, 1).status == 401
        sandbox.set_faults(unauthorized=0)
        assert patch(sandbox, 1).headers["X-RateLimit-Remaining"].startswith("9999,")


@pytest.mark.parametrize("fault", ["expire_token", "revoke_token"])
def test_a_token_that_a_fault_ended_stays_ended(fault: str) -> None:
    with running_sandbox(_always(fault)) as sandbox:
        assert patch(sandbox, 1).status == 401
        sandbox.set_faults(**{fault: 0})
        assert patch(sandbox, 1).status == 401


@pytest.mark.parametrize("fault", ["token_error", "token_lost"])
def test_the_token_endpoint_has_trouble_of_its_own(fault: str) -> None:
    with running_sandbox(_always(fault)) as sandbox:
        assert patch(sandbox, 1).status == 200
        form = {"client_id": "app", "client_secret": "s3cret", "grant_type": "refresh_token"}
        if fault == "token_error":
            assert _control(sandbox, "POST", "/oauth/token", form).status == 500
        else:
            with pytest.raises(ConnectionResetError):
                _control(sandbox, "POST", "/oauth/token", form)
        assert "s3cret" not in repr(sandbox.requests())


def test_faults_are_switched_and_read_while_it_runs() -> None:
    with running_sandbox(SandboxOptions(prospects=1)) as sandbox:
        set_to = {"error_500": 1, "slow_seconds": 5}
        assert _control(sandbox, "POST", "/sandbox/faults", set_to).json["error_500"] == 1
        assert patch(sandbox, 1).status == 500
        read = _control(sandbox, "GET", "/sandbox/faults").json
        assert (read["slow_seconds"], read["struck"]) == (5, {"error_500": 1})
        assert read["meaning"].keys() > API_FAULTS.keys()
        _control(sandbox, "POST", "/sandbox/faults", {"maintenance_for_seconds": 60})
        assert patch(sandbox, 1).status == 503
        assert _control(sandbox, "DELETE", "/sandbox/faults").json["maintenance_until"] is None
        assert patch(sandbox, 1).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"error_500": 2}),
        ("faults", {"maintenance_for_seconds": "long"}),
        ("faults", []),
        ("foreign", {"user": "ops", "requests": 0}),
        ("tokens", {"user": "ops", "action": "steal"}),
    ],
)
def test_a_switch_that_does_not_exist_is_refused(path: str, body: object) -> None:
    with running_sandbox() as sandbox:
        assert _control(sandbox, "POST", f"/sandbox/{path}", body).status == 400


def test_another_site_in_the_same_browser_cannot_throw_a_switch() -> None:
    with running_sandbox() as sandbox:
        sent = ask(sandbox, "POST", "/sandbox/faults", b"{}", content_type="text/plain")
        assert sent.status == 415
        assert "Access-Control-Allow-Origin" not in sent.headers


def test_a_users_budget_and_tokens_are_steered_over_http() -> None:
    with running_sandbox(SandboxOptions(prospects=1, limit=10)) as sandbox:
        patch(sandbox, 1)
        spend = {"user": "user-1", "requests": 50}
        spent = _control(sandbox, "POST", "/sandbox/foreign", spend).json
        assert spent == {"spent": 9, "remaining": 0}
        assert patch(sandbox, 1).status == 429
        expire = {"user": "user-1", "action": "expire"}
        assert _control(sandbox, "POST", "/sandbox/tokens", expire).json == {"tokens": 1}
        assert patch(sandbox, 1).status == 401
