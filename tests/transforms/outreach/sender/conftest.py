"""A sandbox of sixty prospects, and waits after trouble that are over at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from transforms.outreach import backoff


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "BACKOFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(backoff, "BACKOFF_MOST_SECONDS", 0.05)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running
