"""A sandbox that knows the application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.sandbox import Sandbox, running_sandbox
from tests.pipeline.commands.connect.connecting import OPTIONS


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(OPTIONS) as running:
        yield running
