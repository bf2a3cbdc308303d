"""Beam, which takes seconds, is imported for delivering alone, and once that can begin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes.program import ROOT, environment

pytestmark = pytest.mark.real

_RUN = """
import runpy, sys
sys.argv[0] = "pipeline"
try:
    runpy.run_module("pipeline", run_name="__main__")
except SystemExit:
    pass
print("apache_beam" in sys.modules, "grpc" in sys.modules)
"""
LEDGER = "--ledger=none.db"
DESTINATION = "--destination=none.yaml"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["status", LEDGER],
        ["explain", "1", LEDGER],
        ["forget", "1", LEDGER],
        ["release", "a", LEDGER],
        ["dead-letters", LEDGER],
        ["report", LEDGER, "--output=report.html"],
        ["page", LEDGER],
        ["validate", DESTINATION],
        ["connect", DESTINATION, "--user=ops"],
        ["replay", "none.jsonl", DESTINATION],
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_needs_no_beam_does_not_import_it(words: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout.splitlines()[-1] == "False False", ended.stderr
