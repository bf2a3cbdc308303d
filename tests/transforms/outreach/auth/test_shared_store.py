"""Threads and processes that share a token store renew its tokens once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox
from tests.support.servers.sandbox_client import Clock
from tests.transforms.outreach.auth.ops import HOURS, SECRET_ENV, Ops, stored, token_requests
from transforms.errors import Trouble
from transforms.outreach.auth.credentials import (
    OAuthAuth,
    OAuthCredential,
)
from transforms.outreach.auth.token_store import FileStore
from transforms.outreach.client import OutreachClient

pytestmark = pytest.mark.real


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
