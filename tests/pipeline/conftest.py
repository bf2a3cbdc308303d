"""What tests of several rooms of the program need."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.in_process.ledgers import new_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """`ledger.db` in the test's folder, of the user `ops` and two audiences."""
    with new_ledger(tmp_path) as connection:
        yield connection
