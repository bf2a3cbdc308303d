"""Five prospects and two accounts in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.end_to_end.org.account_domain.destination import (
    THERE,
    write,
)
from tests.support.processes.org import people


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions()) as running:
        running.seed(people(5))
        running.seed(THERE, "account")
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    write(tmp_path, sandbox.url)
    return tmp_path
