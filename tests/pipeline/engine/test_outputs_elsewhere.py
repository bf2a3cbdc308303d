"""Outputs that are no local file, or that cannot work at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from tests.pipeline.engine.writing_out import begun, prospects_in, record
from transforms.errors import ConfigurationError


class Here(LocalFileSystem):
    """A filesystem of Beam's that is not local by its name: `here:///path`."""

    @classmethod
    def scheme(cls) -> str:
        return "here"

    def create(self, path: str, *_: Any, **__: Any) -> Any:
        return super().create(path.removeprefix("here://"))


def test_a_file_elsewhere_is_written_as_a_whole_when_all_is_done(
    ledger: sqlite3.Connection, tmp_path: Path
) -> None:
    target = f"here://{tmp_path}/receipts.jsonl"
    record(ledger, 99)
    outputs = begun(ledger, tmp_path, receipts=target, dead_letters=None, lasting=False)
    record(ledger, 1, 2)
    outputs.write()
    assert not (tmp_path / "receipts.jsonl").exists()

    resumed = begun(ledger, tmp_path, receipts=target, dead_letters=None, lasting=False)
    record(ledger, 3)
    resumed.finish()

    assert prospects_in(tmp_path / "receipts.jsonl") == [1, 2, 3]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"receipts": "here:///r.jsonl"}, "does not end"),
        ({"receipts": "nowhere://r.jsonl", "lasting": False}, "nowhere"),
        ({"receipts": "/proc/nowhere/r.jsonl", "lasting": False}, "cannot be written"),
    ],
)
def test_an_output_that_cannot_work_is_refused_at_the_start(
    ledger: sqlite3.Connection, tmp_path: Path, named: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        begun(ledger, tmp_path, **named)
    assert not Path("x.jsonl").exists()
