"""A job's place: a folder, and a topic with its subscription."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes.always_on import Place
from tests.support.servers.pubsub_emulator import Channel, Emulator


@pytest.fixture
def place(tmp_path: Path, emulator: Emulator, channel: Channel) -> Place:
    return Place(tmp_path, emulator, channel)
