"""A running job can be updated to what is here, and reads what it wrote before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from apache_beam import coders

from tests.support.beam.stability import SAMPLES, current, stored
from tests.support.processes.program import ROOT

pytestmark = pytest.mark.real

WHAT_NOW = """
A job that runs could no longer be updated to this, or would misread what it kept. Either undo it,
or, if it is meant:
- a field was added at the end of an element: nothing else is to be done;
- a row's layout changed in any other way: raise VERSION in transforms/coders.py;
- a step was renamed: say so in the CHANGELOG, with the --transform_name_mapping for it;
- state, a timer or a VERSION changed: say in the CHANGELOG that a running job has to be drained.
Then write the snapshot anew: python -m tests.support.beam.stability"""

WITHIN = {"MembershipChange", "AttributeChange"}
"""What is only ever a part of another element."""


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return current(tmp_path_factory.mktemp("stability"))


@pytest.mark.parametrize("part", ["version", "rows", "steps", "keeping", "travelling"])
def test_a_running_job_can_be_updated(now: dict[str, Any], part: str) -> None:
    assert now[part] == stored()[part], WHAT_NOW


def test_nothing_else_is_in_the_snapshot(now: dict[str, Any]) -> None:
    assert stored().keys() == {*now, "earlier"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_what_an_earlier_job_wrote_is_read(sample: Any) -> None:
    kind = type(sample)
    coder = coders.registry.get_coder(kind)
    rows = [
        stored()["rows"][kind.__name__]["written"],
        *stored()["earlier"].get(kind.__name__, ()),
    ]
    for row in rows:
        again = coder.decode(bytes.fromhex(row))
        assert type(again) is kind
        known = [value for value in again if value is not None]
        assert known == [value for value, it in zip(sample, again, strict=True) if it is not None]


def test_every_kind_of_element_that_travels_or_is_kept_has_a_sample(now: dict[str, Any]) -> None:
    kept = [coder for step in now["keeping"].values() for coder in step["state"].values()]
    rows = re.findall(r"(\w+) row", " ".join([*kept, *now["travelling"].values()]))
    assert set(rows) == {type(sample).__name__ for sample in SAMPLES} - WITHIN


GRAPH = """
import sys
from pathlib import Path
from tests.support.beam.job_graph import graph_on, steps

graph = graph_on("FlinkRunner", Path(sys.argv[1]))
print(sorted(coder.spec.payload.hex() for coder in graph.components.coders.values()))
print(steps(graph))
print(sorted(each.unique_name for each in graph.components.pcollections.values()))
"""


def test_each_process_writes_the_same_names_and_coders(tmp_path: Path) -> None:
    told = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        told.append(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", GRAPH, str(folder)],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
    assert told[0] == told[1]
    assert "Coalesce/Hold" in told[0]
