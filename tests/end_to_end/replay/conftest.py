"""A sandbox of sixty prospects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running
