"""A door that is open for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.in_process.door import OpenDoor, open_door
from tests.support.in_process.door import write_destination_with_sources as write


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    folder = tmp_path_factory.mktemp("door")
    write(folder)
    with open_door(folder, max_body_bytes=100_000) as found:
        yield found
