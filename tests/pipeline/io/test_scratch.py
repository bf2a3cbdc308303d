"""Temporary folders go with their process, and those of a killed one with the next."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.io.scratch import scratch

HOLD = """
import time
from pipeline.io.scratch import scratch
with scratch() as made:
    made.folder.joinpath("stdin").write_text("x")
    print(made.folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_goes_unless_it_is_kept_and_what_is_kept_stays(place: Path) -> None:
    with scratch() as made:
        (made.folder / "stdin").write_text("x")
    assert list(place.iterdir()) == []
    with scratch() as kept:
        kept.kept = True
    with scratch():
        pass
    assert list(place.iterdir()) == [kept.folder]


@pytest.mark.real
def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(place: Path) -> None:
    (place / "outreach-activation-of-somebody").mkdir()
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        folders = [Path(each.stdout.readline().strip()) for each in holders if each.stdout]
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait()
        with scratch():
            assert [each.exists() for each in folders] == [False, True]
    finally:
        for each in holders:
            each.kill()
            each.communicate()
    assert (place / "outreach-activation-of-somebody").exists()
