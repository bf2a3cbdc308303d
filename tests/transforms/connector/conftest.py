"""A sandbox, and the variable that has the token for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.transforms.connector.writing import SECRET


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", SECRET)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running
