"""A ledger of two users."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.in_process.ledgers import (
    new_ledger,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path, ["ops", "sales"]) as connection:
        yield connection
