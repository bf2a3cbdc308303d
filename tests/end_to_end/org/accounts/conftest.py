"""A sandbox with three accounts, and a folder whose destination creates more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.end_to_end.org.accounts.records import THERE, write


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(THERE, "account")
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write(tmp_path, sandbox.url, mode="upsert")
    return tmp_path
