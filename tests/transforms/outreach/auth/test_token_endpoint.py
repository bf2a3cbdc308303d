"""What the token endpoint refuses is said with a remedy, and its trouble is waited out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import Clock, patch
from tests.transforms.outreach.auth.ops import HOURS, SECRET_ENV, Ops, edit, token_requests
from transforms.errors import CredentialError, Trouble

pytestmark = pytest.mark.real


@pytest.mark.usefixtures("ops")
def test_the_token_endpoints_retry_later_is_waited_for(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    clock.now += 30
    edit(store, created_at=clock() - HOURS)  # by this, a minute has long passed
    hasty = Ops(sandbox, store, clock)
    first = hasty.token()
    hasty.refused(first)
    assert hasty.slept == [60]
    assert hasty.token() != first


def test_a_refresh_token_that_is_refused_asks_to_connect_again(
    sandbox: Sandbox, ops: Ops, clock: Clock
) -> None:
    sandbox.revoke_tokens("ops")
    clock.now += 3 * HOURS
    with pytest.raises(CredentialError, match="no longer accepts") as raised:
        ops.token()
    assert raised.value.remedy == ("run: outreach-activation connect --destination FILE --user ops")


def test_many_who_meet_a_dead_grant_offer_it_once_and_none_waits_a_minute(
    sandbox: Sandbox, ops: Ops, clock: Clock
) -> None:
    clock.now += HOURS
    token = ops.token()
    sandbox.revoke_tokens("ops")
    for _ in range(16):
        with pytest.raises(CredentialError, match="no longer accepts"):
            ops.refused(token)
    assert ops.slept == []
    assert token_requests(sandbox) == 2
    clock.now += 60
    with pytest.raises(CredentialError, match="no longer accepts"):
        ops.refused(token)
    assert token_requests(sandbox) == 3


def test_an_unknown_application_names_what_is_wrong(
    ops: Ops, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_ENV, "not-the-s3cr3t")
    clock.now += 3 * HOURS
    with pytest.raises(CredentialError, match=f"client_id.*{SECRET_ENV}") as raised:
        ops.token()
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.usefixtures("ops")
def test_a_token_endpoint_that_is_not_there_names_the_address(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    clock.now += 3 * HOURS
    lost = Ops(sandbox, store, clock, url=f"{sandbox.url}/elsewhere")
    with pytest.raises(CredentialError, match="base_url"):
        lost.token()


def test_trouble_at_the_token_endpoint_is_retried_and_then_told(
    sandbox: Sandbox, ops: Ops, clock: Clock
) -> None:
    sandbox.set_faults(token_error=1)
    clock.now += 3 * HOURS
    with pytest.raises(Trouble, match="answered 500"):
        ops.token()
    assert ops.slept == [1, 4, 10]
    sandbox.set_faults(token_error=0)
    assert patch(sandbox, 1, ops.token(), custom4="realized").status == 200


def test_a_token_that_is_still_good_is_used_while_its_endpoint_is_in_trouble(
    sandbox: Sandbox, ops: Ops, clock: Clock
) -> None:
    sandbox.set_faults(token_error=1)
    first = ops.token()
    clock.now += 1.85 * HOURS
    assert ops.token() == first
    asked = token_requests(sandbox)
    assert ops.token() == first
    assert token_requests(sandbox) == asked
    sandbox.set_faults(token_error=0)
    clock.now += 61
    assert ops.token() != first


@pytest.mark.usefixtures("ops")
def test_a_server_that_is_not_there_is_trouble(sandbox: Sandbox, store: Path, clock: Clock) -> None:
    clock.now += 3 * HOURS
    lost = Ops(sandbox, store, clock, url="http://127.0.0.1:1")
    with pytest.raises(Trouble, match="no connection"):
        lost.token()
