"""The door as a process: what it answered 200 survives whatever happens to it."""

from __future__ import annotations

import json
import random
import resource
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.in_process.door import SECRETS, post, write_destination_with_sources
from tests.support.processes.always_on import Running
from tests.support.processes.program import command, environment, json_lines
from tests.support.servers.certificates import Authority
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import free_port, wait_for

pytestmark = pytest.mark.real

BEARER = {"Authorization": "Bearer aep-token"}
PROSPECTS = 8_000


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, limit=100_000)) as running:
        write_destination_with_sources(tmp_path, running.url)
        yield running


@contextmanager
def started(folder: Path, *words: str, **variables: str) -> Iterator[Running]:
    """A command, for as long as the ``with`` block lasts."""
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("wb") as stderr, log.with_suffix(".out").open("wb") as stdout:
        process = subprocess.Popen(
            command(*words, "--destination=destination.yaml"),
            cwd=folder,
            env=environment(**SECRETS, **variables),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


def opened(port: int, *more: str) -> tuple[str, ...]:
    return (
        "run",
        f"--listen=127.0.0.1:{port}",
        "--ledger=ledger.db",
        "--receipts=receipts.jsonl",
        *more,
    )


def body(prospects: Sequence[int]) -> bytes:
    flat = [{"outreach_id": each, "segment": "vip", "status": "realized"} for each in prospects]
    return json.dumps(flat).encode()


def accounted_for(folder: Path) -> set[int]:
    """Prospects of which the ledger has a receipt, or whose change waits in it."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        found = {row[0] for row in ledger.execute("SELECT outreach_id FROM receipts")}
        found |= {row[0] for row in ledger.execute("SELECT outreach_id FROM waiting")}
        for (waiting,) in ledger.execute("SELECT body FROM inbox WHERE body IS NOT NULL"):
            found |= {each["outreach_id"] for each in json.loads(waiting)}
    return found


class Clients:
    """Threads that post without pause, and keep a list of what was answered 200."""

    def __init__(self, url: str, count: int = 4) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._next = 1
        self._stopped = threading.Event()
        self.accepted: list[int] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for each in self._threads:
            each.join()

    def _send(self) -> None:
        while some := self._take():
            time.sleep(0.01)
            while not self._stopped.is_set():
                try:
                    answer = post(self._url, body(some), BEARER)
                except OSError:
                    time.sleep(0.02)  # It is being killed, or started again: the same once more.
                    continue
                with self._lock:
                    if answer.status == 200:
                        self.accepted += some
                break

    def _take(self) -> list[int]:
        with self._lock:
            first, self._next = self._next, self._next + 2
        return [] if self._stopped.is_set() else list(range(first, min(first + 2, PROSPECTS + 1)))


@pytest.mark.kill
def test_whatever_was_answered_200_is_in_the_ledger_of_a_door_that_is_killed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    port = free_port()
    chance = random.Random(11)
    with Clients(f"http://127.0.0.1:{port}/changes/aep") as clients:
        for _ in range(4):
            before = len(clients.accepted)
            with started(tmp_path, *opened(port)) as running:
                wait_for(lambda before=before: len(clients.accepted) > before, 60)
                time.sleep(chance.uniform(0.0, 0.6))
                running.kill()
    accepted = set(clients.accepted)
    assert len(accepted) > 20
    assert accepted - accounted_for(tmp_path) == set()

    with started(tmp_path, *opened(port)) as running:
        receipts = tmp_path / "receipts.jsonl"
        delivered = lambda: {one["outreach_id"] for one in json_lines(receipts)}  # noqa: E731
        wait_for(lambda: accepted <= delivered(), 60)
        running.stop()
    held = {each for each, fields in sandbox.prospects().items() if fields.get("custom4")}
    assert accepted <= held
    assert "Traceback" not in running.said


def limit_files(process: int, size: int = resource.RLIM_INFINITY) -> None:
    """No file of a running process grows beyond a size, as if the disk were full."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.usefixtures("sandbox")
def test_a_full_disk_is_503_and_what_is_sent_again_then_is_kept(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/changes/aep"
    with started(tmp_path, *opened(port)) as running:
        running.wait_for("listening at")
        limit_files(running.process.pid, 16_384)
        refused = post(url, body(range(1, 11)), BEARER)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        limit_files(running.process.pid)
        assert post(url, body(range(1, 11)), BEARER).status == 200
        wait_for(lambda: len(json_lines(tmp_path / "receipts.jsonl")) == 10, 60)
        running.stop()
    assert "Traceback" not in running.said


def test_outreach_being_away_changes_no_answer(tmp_path: Path) -> None:
    write_destination_with_sources(tmp_path, f"http://127.0.0.1:{free_port()}")
    port = free_port()
    with started(tmp_path, *opened(port)) as running:
        running.wait_for("listening at")
        url = f"http://127.0.0.1:{port}/changes/aep"
        answers = [post(url, body([each]), BEARER).status for each in range(1, 60)]
        assert set(answers) == {200}
        running.stop()
    assert accounted_for(tmp_path) == set(range(1, 60))


@pytest.mark.usefixtures("sandbox")
def test_slow_and_silent_clients_disturb_nobody(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, *opened(port)) as running:
        running.wait_for("listening at")
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for each in silent[:150]:
            each.sendall(
                b"POST /changes/aep HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer aep-token"
                b"\r\nContent-Length: 1000\r\n\r\n[{"
            )
        try:
            took = time.monotonic()
            assert post(f"http://127.0.0.1:{port}/changes/aep", body([1]), BEARER).status == 200
            assert time.monotonic() - took < 10
            assert running.stop() < 10
        finally:
            for each in silent:
                each.close()


@pytest.mark.usefixtures("sandbox")
def test_the_door_speaks_tls_and_asks_for_a_certificate_where_it_is_told_to(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    authority.context()
    trusting = ssl.create_default_context(cafile=str(authority.file))
    certified = ssl.create_default_context(cafile=str(authority.file))
    certified.load_cert_chain(tmp_path / "server.pem")
    tls = ("--tls_certificate=server.pem", "--tls_key=server.pem")
    port = free_port()
    url = f"https://127.0.0.1:{port}/changes/aep"
    with started(tmp_path, *opened(port, *tls)) as running:
        running.wait_for("listening at https://")
        assert post(url, body([1]), BEARER, context=trusting).status == 200
    client = f"--tls_client_ca={authority.file}"
    with started(tmp_path, *opened(port, *tls, client)) as running:
        running.wait_for("listening at https://")
        assert post(url, body([1]), BEARER, context=certified).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            post(url, body([1]), BEARER, context=trusting)


@pytest.mark.usefixtures("sandbox")
def test_a_door_before_a_topic_publishes_what_a_job_then_delivers_as_its_source_says(
    tmp_path: Path, emulator: Emulator, channel: Channel
) -> None:
    port = free_port()
    words = ("listen", f"--listen=127.0.0.1:{port}", f"--topic={channel.topic}")
    job = (
        "run",
        f"--input_subscription={channel.subscription}",
        "--ledger=ledger.db",
        "--receipts=receipts.jsonl",
    )
    record = {"type": "record", "action": "insert", "identifiers": {"outreach_id": 5}}
    with started(tmp_path, *words, **emulator.variables) as door:
        door.wait_for("listening at")
        answer = post(f"http://127.0.0.1:{port}/changes/rudder", record)
        assert (answer.status, answer.json["changes"]) == (200, 1)
        with started(tmp_path, *job, **emulator.variables) as running:
            receipts = tmp_path / "receipts.jsonl"
            wait_for(lambda: receipts.exists() and json_lines(receipts), 60)
            running.stop()
        assert door.stop() < 10
    (receipt,) = json_lines(receipts)
    assert (receipt["outreach_id"], receipt["segment"], receipt["outcome"]) == (
        5,
        "vip",
        "delivered",
    )
