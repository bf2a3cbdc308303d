"""Tokens are stored for their owner alone, before they are used, and never half."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import Clock
from tests.support.servers.secret_manager import PATH, Manager, serving
from tests.transforms.outreach.auth.ops import HOURS, Ops, edit, stored, token_requests
from transforms.errors import ConfigurationError, CredentialError
from transforms.outreach.auth.secret_manager import SecretStore
from transforms.outreach.auth.token_store import FileStore, open_store

pytestmark = pytest.mark.real


def test_connect_stores_the_answer_as_it_came_for_its_owner_alone(
    ops: Ops, store: Path, clock: Clock
) -> None:
    assert ops.token() == stored(store)["access_token"]
    assert stored(store)["created_at"] == int(clock())
    assert set(stored(store)) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "created_at",
    }
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_a_user_who_never_connected_is_told_to(sandbox: Sandbox, store: Path, clock: Clock) -> None:
    with pytest.raises(CredentialError, match=r"not connected yet; run: .* connect"):
        Ops(sandbox, store, clock).token()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"access_token": 1}', b'{"access_token": "s3cr3t\\n"}', b"\xff"],
)
def test_a_store_without_tokens_is_named_and_not_repeated(
    sandbox: Sandbox, store: Path, clock: Clock, content: bytes
) -> None:
    store.write_bytes(content)
    with pytest.raises(CredentialError, match=str(store)) as raised:
        Ops(sandbox, store, clock).token()
    assert "s3cr3t" not in str(raised.value)


def test_a_store_that_is_no_file_is_named(sandbox: Sandbox, tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(CredentialError, match=str(tmp_path)):
        Ops(sandbox, tmp_path, clock).token()


@pytest.mark.usefixtures("ops")
def test_a_store_that_lacks_a_refresh_token_asks_to_connect_when_the_token_ends(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    edit(store, refresh_token=None)
    once = Ops(sandbox, store, clock)
    assert once.token() == stored(store)["access_token"]
    clock.now += 3 * HOURS
    with pytest.raises(CredentialError, match=r"none to renew it; run: .* connect"):
        once.token()


class FullDisk(FileStore):
    """A store that can be written so many times more before its disk is full."""

    room = 99

    def write(self, content: bytes) -> None:
        if self.room < 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        super().write(content)


@pytest.mark.usefixtures("ops")
def test_no_refresh_token_is_spent_while_the_store_cannot_be_written(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    cramped = Ops(sandbox, store, clock)
    before = stored(store)
    clock.now += 3 * HOURS
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(CredentialError, match="cannot be written"):
                cramped.token()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert stored(store) == before
    assert token_requests(sandbox) == 1
    assert cramped.token() == stored(store)["access_token"] != before["access_token"]
    assert token_requests(sandbox) == 2


@pytest.mark.usefixtures("ops")
def test_new_tokens_are_not_used_before_they_are_stored_and_not_lost_either(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    keeping = FullDisk(str(store))
    cramped = Ops(sandbox, store, clock, keeping=keeping)
    before = stored(store)
    keeping.room = 1  # for what is written back before the refresh
    clock.now += 3 * HOURS
    for _ in range(2):
        with pytest.raises(CredentialError, match="No space left"):
            cramped.token()
    assert stored(store) == before
    keeping.room = 99
    assert cramped.token() == stored(store)["access_token"] != before["access_token"]
    assert token_requests(sandbox) == 2


@pytest.mark.usefixtures("ops")
def test_no_refresh_token_is_spent_while_the_secret_takes_no_version(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    manager = Manager()
    with serving(manager) as client:
        keeping = SecretStore(PATH, client)
        keeping.write(store.read_bytes())
        denied = Ops(sandbox, store, clock, keeping=keeping)
        manager.takes_versions = False
        clock.now += 3 * HOURS
        with pytest.raises(CredentialError, match="cannot be written"):
            denied.token()
        assert token_requests(sandbox) == 1
        manager.takes_versions = True
        assert denied.token() == json.loads(keeping.read())["access_token"]
        assert token_requests(sandbox) == 2


def test_an_interrupted_write_leaves_the_old_tokens_and_no_rubbish(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = FileStore(str(store))
    keeping.write(b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        keeping.write(b"new")
    assert keeping.read() == b"old"
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_a_link_to_the_store_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "ops.json"
    link.symlink_to(tmp_path / "real" / "ops.json")
    keeping = FileStore(str(link))
    keeping.write(b"{}")
    assert link.is_symlink()
    assert (tmp_path / "real" / "ops.json").read_bytes() == b"{}"
    assert keeping.try_lock(0)
    assert not FileStore(str(tmp_path / "real" / "ops.json")).try_lock(0)
    keeping.unlock()


def test_a_store_somewhere_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"gs://bucket/ops\.json"):
        open_store("gs://bucket/ops.json")
