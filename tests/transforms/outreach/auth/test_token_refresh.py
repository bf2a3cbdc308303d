"""An OAuth token is renewed before it ends, once when it is refused, at most once a minute."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import Clock, patch
from tests.transforms.outreach.auth.ops import (
    BACK,
    HOURS,
    SECRET,
    Ops,
    consent,
    edit,
    stored,
    token_requests,
)
from transforms.errors import CredentialError, Trouble

pytestmark = pytest.mark.real


def test_a_stored_token_is_used_without_asking_for_one(
    sandbox: Sandbox, ops: Ops, store: Path, clock: Clock
) -> None:
    later = Ops(sandbox, store, clock)
    clock.now += HOURS
    assert later.token() == ops.token()
    assert token_requests(sandbox) == 1


def test_a_token_is_renewed_before_it_ends(
    sandbox: Sandbox, ops: Ops, store: Path, clock: Clock
) -> None:
    first = ops.token()
    clock.now += 1.85 * HOURS
    second = ops.token()
    assert second != first
    assert second == stored(store)["access_token"]
    assert patch(sandbox, 1, second, custom4="realized").status == 200
    assert ops.token() == second
    assert token_requests(sandbox) == 2


def test_a_refused_token_is_replaced_once(
    sandbox: Sandbox, ops: Ops, store: Path, clock: Clock
) -> None:
    first = ops.token()
    clock.now += 600
    sandbox.expire_tokens("ops")
    ops.refused(first)
    second = ops.token()
    assert patch(sandbox, 1, second, custom4="realized").status == 200
    ops.refused(first)  # told late, by an answer that was on its way
    assert ops.token() == second == stored(store)["access_token"]
    assert token_requests(sandbox) == 2


def test_a_user_gets_one_token_a_minute(sandbox: Sandbox, ops: Ops) -> None:
    ops.refused(ops.token())
    ops.refused(ops.token())
    assert ops.slept == [60, 60]
    assert token_requests(sandbox) == 3
    assert sandbox.violations() == []


@pytest.mark.usefixtures("ops")
def test_a_clock_of_the_servers_that_is_far_ahead_delays_by_a_minute_at_most(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    clock.now += 600
    edit(store, created_at=clock() + 5 * HOURS)
    other = Ops(sandbox, store, clock)
    other.refused(stored(store)["access_token"])
    assert other.slept == [60]


@pytest.mark.usefixtures("ops")
def test_who_cannot_wait_a_minute_is_told_so_and_keeps_the_tokens(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    hasty = Ops(sandbox, store, clock, max_wait_seconds=5.0)
    before = stored(store)
    with pytest.raises(Trouble, match="one token a minute"):
        hasty.refused(hasty.token())
    assert stored(store) == before


def test_the_client_secret_may_be_in_a_file(
    sandbox: Sandbox, store: Path, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "client-secret"
    file.write_text(f"{SECRET}\n")
    ops = Ops(sandbox, store, clock, secret_file=str(file))
    asyncio.run(ops.credential.connect(consent(sandbox), BACK, clock()))
    assert ops.token() == stored(store)["access_token"]
    file.write_text("not-the-s3cr3t")
    clock.now += 2 * HOURS
    with pytest.raises(CredentialError, match=f"client_id.*the file {file}") as raised:
        ops.token()
    assert "s3cr3t" not in str(raised.value)
