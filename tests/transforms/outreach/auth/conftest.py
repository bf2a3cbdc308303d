"""A sandbox by a clock that the test sets, and a user who has connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.servers.sandbox_client import Clock
from tests.transforms.outreach.auth.ops import BACK, SECRET, SECRET_ENV, Ops, consent


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


@pytest.fixture
def ops(sandbox: Sandbox, store: Path, clock: Clock) -> Ops:
    connected = Ops(sandbox, store, clock)
    code = consent(sandbox)
    asyncio.run(connected.credential.connect(code, BACK, clock()))
    return connected
