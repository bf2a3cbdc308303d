"""The secrets of the users, and `validate` in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.preflight.validating import ANN, OPS, SECRET, Validate


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", OPS)
    monkeypatch.setenv("ANN_TOKEN", ANN)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Validate:
    return Validate(tmp_path, capsys)
