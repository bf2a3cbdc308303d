"""Credentials against the sandbox's own OAuth, over HTTP; only the clock is set by hand."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import Clock, ask, patch
from tests.support.servers.secret_manager import PATH, Manager, secretmanager, serving
from transforms.errors import ConfigurationError, CredentialError, Trouble
from transforms.outreach.auth.credentials import (
    Auth,
    BearerAuth,
    OAuthAuth,
    OAuthCredential,
    S2SAuth,
    S2SCredential,
)
from transforms.outreach.auth.secret_manager import SecretStore
from transforms.outreach.auth.token_store import FileStore, TokenStore, open_store
from transforms.outreach.client import OutreachClient

pytestmark = pytest.mark.real

BACK = "http://127.0.0.1:9/back"
SECRET_ENV = "TEST_OUTREACH_CLIENT_SECRET"
SECRET = "s3cr3t-of-the-application"
HOURS = 3600.0


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_ENV, SECRET)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    options = SandboxOptions(
        prospects=1, approve="ops", tokens={"unused": "other"}, clients={"app": SECRET}
    )
    with running_sandbox(options, clock) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "ops-token.json"


class Ops:
    """The user `ops` of a sandbox, whose sleeps pass at once."""

    def __init__(
        self,
        sandbox: Sandbox,
        store: Path,
        clock: Clock,
        *,
        keeping: TokenStore | None = None,
        max_wait_seconds: float = 150.0,
        client_id: str = "app",
        secret_file: str | None = None,
        url: str | None = None,
    ) -> None:
        self.slept: list[float] = []
        self._clock = clock
        variable = SECRET_ENV if secret_file is None else None
        auth = OAuthAuth(client_id, variable, str(store), secret_file)
        self.credential = OAuthCredential(
            auth,
            "ops",
            OutreachClient(url or sandbox.url),
            keeping or open_store(str(store)),
            max_wait_seconds=max_wait_seconds,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.now += seconds

    def token(self) -> str:
        return asyncio.run(self.credential.token(self._clock()))

    def refused(self, token: str) -> None:
        asyncio.run(self.credential.refused(token, self._clock()))


@pytest.fixture
def ops(sandbox: Sandbox, store: Path, clock: Clock) -> Ops:
    connected = Ops(sandbox, store, clock)
    code = consent(sandbox)
    asyncio.run(connected.credential.connect(code, BACK, clock()))
    return connected


def consent(sandbox: Sandbox) -> str:
    query = {
        "client_id": "app",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "prospects.read prospects.write",
        "state": "s",
    }
    answer = ask(sandbox, "GET", "/oauth/authorize", query=query)
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def token_requests(sandbox: Sandbox) -> int:
    return sum(each.path == "/oauth/token" for each in sandbox.requests())


def stored(store: Path) -> dict[str, Any]:
    return dict(json.loads(store.read_bytes()))


def edit(store: Path, **changes: object) -> None:
    store.write_text(json.dumps(stored(store) | changes))


def test_a_bearer_token_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", " s3cr3t\n")
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "ümlaut", "line\nbreak"])
def test_a_variable_without_a_token_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OPS_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("OPS_TOKEN", value)
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match="OPS_TOKEN") as raised:
        asyncio.run(credential.token(0.0))
    assert not value or not value.strip() or value not in str(raised.value)


def test_a_bearer_token_that_is_refused_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", "s3cr3t")
    credential = BearerAuth("OPS_TOKEN").credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match="OPS_TOKEN") as raised:
        asyncio.run(credential.refused("s3cr3t", 0.0))
    assert raised.value.remedy
    assert "s3cr3t" not in str(raised.value)


def test_a_bearer_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" s3cr3t\n")
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words", b"\xc3\xbcmlaut", b"a\nb"])
def test_a_file_without_a_token_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    with pytest.raises(CredentialError, match=f"the file {file}") as raised:
        asyncio.run(credential.token(0.0))
    assert raised.value.remedy


def test_a_fresh_token_in_the_file_takes_the_place_of_one_that_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("stale")
    credential = BearerAuth(token_file=str(file)).credential("ops", "https://api.outreach.io")
    assert asyncio.run(credential.token(0.0)) == "stale"
    with pytest.raises(CredentialError, match="put a fresh one into the file"):
        asyncio.run(credential.refused("stale", 0.0))
    file.write_text("fresh")
    assert asyncio.run(credential.token(0.0)) == "stale"
    asyncio.run(credential.refused("stale", 0.0))
    assert asyncio.run(credential.token(0.0)) == "fresh"
    file.write_text("fresher")
    asyncio.run(credential.refused("stale", 0.0))  # a late answer
    assert asyncio.run(credential.token(0.0)) == "fresh"


def test_a_bearer_token_is_read_from_secret_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    credential = BearerAuth(token_file=PATH).credential("ops", "https://api.outreach.io")
    with serving(manager) as client:
        monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", lambda: client)
        with pytest.raises(CredentialError, match=f"the secret {PATH}"):
            asyncio.run(credential.token(0.0))
        manager.versions[1] = b"s3cr3t\n"
        manager.failing = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(Trouble):
            asyncio.run(credential.token(0.0))
        manager.failing = None
        assert asyncio.run(credential.token(0.0)) == "s3cr3t"
    assert "s3cr3t" not in repr(credential)


@pytest.mark.parametrize("given", [{}, {"token_env": "OPS_TOKEN", "token_file": "token"}])
def test_a_secret_is_in_one_place(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="name one"):
        BearerAuth(**given)
    with pytest.raises(ConfigurationError, match="name one"):
        OAuthAuth("app", given.get("token_env"), "ops.json", given.get("token_file"))


@pytest.mark.parametrize(
    "auth",
    [
        BearerAuth("OPS_TOKEN"),
        BearerAuth(token_file="/nowhere/token"),
        OAuthAuth("app", SECRET_ENV, "/nowhere/ops.json"),
        OAuthAuth("app", None, "/nowhere/ops.json", "/nowhere/secret"),
        S2SAuth("install", "issuer", "/nowhere/ops.pem"),
    ],
)
def test_what_travels_to_a_worker_says_where_to_read_and_holds_no_secret(auth: Auth) -> None:
    travelled = pickle.loads(pickle.dumps(auth))  # noqa: S301 - our own
    assert travelled == auth
    credential = travelled.credential("ops", "https://api.outreach.io")
    assert SECRET not in repr(credential) + repr(auth)


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


def test_what_another_process_renewed_is_found_in_the_store(
    sandbox: Sandbox, ops: Ops, store: Path, clock: Clock
) -> None:
    other = Ops(sandbox, store, clock)
    first = other.token()
    clock.now += 600
    sandbox.expire_tokens("ops")
    ops.refused(first)
    other.refused(first)
    assert other.token() == ops.token()
    assert token_requests(sandbox) == 2


def test_a_renewal_by_somebody_without_our_lock_is_found_in_the_store(
    sandbox: Sandbox, ops: Ops, store: Path, clock: Clock
) -> None:
    clock.now += 600
    old = store.read_bytes()
    ops.refused(ops.token())
    new = store.read_bytes()
    clock.now += 600

    class Late(FileStore):
        """A store whose newest content is seen only at the third look."""

        looks = 0

        def read(self) -> bytes:
            self.looks += 1
            return old if self.looks < 3 else new

    late = Ops(sandbox, store, clock, keeping=Late(str(store)))
    late.refused(json.loads(old)["access_token"])
    assert late.token() == json.loads(new)["access_token"]


def together(count: int, act: Callable[[], object]) -> list[object]:
    results: list[object] = []
    start = threading.Barrier(count)

    def run() -> None:
        start.wait()
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("ops")
def test_threads_that_share_a_store_renew_it_once(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    clock.now += 1.9 * HOURS
    now = clock()

    async def poll(_: float) -> None:
        await asyncio.sleep(0.001)

    def token() -> str:
        auth = OAuthAuth("app", SECRET_ENV, str(store))
        client = OutreachClient(sandbox.url)
        credential = OAuthCredential(auth, "ops", client, FileStore(str(store)), sleep=poll)
        return asyncio.run(credential.token(now))

    assert set(together(8, token)) == {stored(store)["access_token"]}
    assert token_requests(sandbox) == 2
    assert sandbox.violations() == []


RENEW = """
import asyncio, sys
from transforms.outreach.auth.credentials import OAuthAuth
url, store, env, now = sys.argv[1:]
credential = OAuthAuth("app", env, store).credential("ops", url)
print(asyncio.run(credential.token(float(now))))
"""


@pytest.mark.usefixtures("ops")
def test_processes_that_share_a_store_renew_it_once(
    sandbox: Sandbox, store: Path, clock: Clock
) -> None:
    clock.now += 1.9 * HOURS
    command = [sys.executable, "-c", RENEW, sandbox.url, str(store), SECRET_ENV, str(clock())]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0].strip() for process in running}
    assert printed == {stored(store)["access_token"]}
    assert token_requests(sandbox) == 2
    assert sandbox.violations() == []


LOCK = """
import sys, time
from transforms.outreach.auth.token_store import FileStore
store = FileStore(sys.argv[1])
assert store.try_lock(0)
print("locked", flush=True)
time.sleep(60)
"""


@pytest.mark.usefixtures("ops")
def test_a_process_that_dies_lets_go_of_the_lock(store: Path) -> None:
    keeping = FileStore(str(store))
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(store)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert not keeping.try_lock(0)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert keeping.try_lock(0)
    keeping.unlock()


def test_a_lock_that_is_never_let_go_is_not_waited_for_without_end(
    ops: Ops, store: Path, clock: Clock
) -> None:
    holder = FileStore(str(store))
    assert holder.try_lock(0)
    clock.now += 3 * HOURS
    with pytest.raises(Trouble, match="another process is renewing"):
        ops.token()
    assert 149 < sum(ops.slept) < 152
    holder.unlock()
    assert ops.token() == stored(store)["access_token"]


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


def test_a_store_somewhere_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"gs://bucket/ops\.json"):
        open_store("gs://bucket/ops.json")


def test_a_secret_of_secret_manager_needs_the_package_that_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager", None)
    auth = OAuthAuth("app", SECRET_ENV, "projects/p/secrets/ops")
    with pytest.raises(ConfigurationError, match=r"outreach-activation\[dataflow\]"):
        auth.credential("ops", "https://api.outreach.io")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    ours, others = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    elliptic = ec.generate_private_key(ec.SECP256R1())
    written: list[tuple[str, PrivateKeyTypes, KeySerializationEncryption]] = [
        ("ours", ours, NoEncryption()),
        ("others", others, NoEncryption()),
        ("locked", ours, BestAvailableEncryption(b"password")),
        ("elliptic", elliptic, NoEncryption()),
    ]
    for name, key, encryption in written:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (folder / f"{name}.pem").write_bytes(pem)
    (folder / "public.pem").write_bytes(
        ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return folder


@pytest.fixture
def s2s_sandbox(keys: Path, clock: Clock) -> Iterator[Sandbox]:
    options = SandboxOptions(prospects=1, tokens={"unused": "other"}, s2s_key=keys / "public.pem")
    with running_sandbox(options, clock) as running:
        yield running


def application(sandbox: Sandbox, key: Path, url: str | None = None) -> S2SCredential:
    return S2SAuth("install 1", "our-app", str(key)).credential("app", url or sandbox.url)


def test_an_application_signs_in_for_itself(s2s_sandbox: Sandbox, keys: Path, clock: Clock) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    assert patch(s2s_sandbox, 1, first, custom4="realized").status == 200
    clock.now += 3000
    assert asyncio.run(credential.token(clock())) == first
    clock.now += 300
    second = asyncio.run(credential.token(clock()))
    assert second != first
    assert patch(s2s_sandbox, 1, second, custom4="realized").status == 200
    assert second not in repr(credential)


def test_an_applications_refused_token_is_replaced_a_minute_apart(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock
) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    for _ in range(2):
        with pytest.raises(Trouble, match="is due in 60 s"):
            asyncio.run(credential.refused(first, clock()))
    clock.now += 60
    asyncio.run(credential.refused(first, clock()))
    second = asyncio.run(credential.token(clock()))
    asyncio.run(credential.refused(first, clock()))
    assert asyncio.run(credential.token(clock())) == second != first


def test_an_application_goes_on_with_a_good_token_while_there_is_trouble(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock
) -> None:
    credential = application(s2s_sandbox, keys / "ours.pem")
    first = asyncio.run(credential.token(clock()))
    credential._client = OutreachClient("http://127.0.0.1:1")
    clock.now += 3300
    assert asyncio.run(credential.token(clock())) == first
    clock.now += 300
    with pytest.raises(Trouble):
        asyncio.run(credential.token(clock()))


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("others.pem", "answered 401"),
        ("locked.pem", "without a password"),
        ("elliptic.pem", "not an RSA key"),
        ("public.pem", "not a private key"),
        ("absent.pem", "No such file"),
    ],
)
def test_a_key_that_does_not_open_says_why(
    s2s_sandbox: Sandbox, keys: Path, clock: Clock, key: str, problem: str
) -> None:
    credential = application(s2s_sandbox, keys / key)
    with pytest.raises(CredentialError, match=problem) as raised:
        asyncio.run(credential.token(clock()))
    assert "private_key_file" in raised.value.remedy
    assert "PRIVATE KEY" not in str(raised.value)
