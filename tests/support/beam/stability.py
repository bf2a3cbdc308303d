"""What a running job is updated by: the names of its steps and state, and the layout of its rows.

`python -m tests.support.beam.stability` writes it anew into `tests/stability.json`; rows that were
written by an earlier version stay in it for good, so that they can be read for ever.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, get_args, get_type_hints

from apache_beam import coders
from apache_beam.runners.pipeline_context import PipelineContext

from tests.support.beam.job_graph import Pipeline, launch, par_dos, steps, timers
from tests.support.processes.program import ROOT
from transforms.coders import VERSION, ElementCoder
from transforms.elements import (
    AttributeChange,
    Block,
    Change,
    DeadLetter,
    Exclusion,
    MembershipChange,
    Outcome,
    Patch,
)
from transforms.fold import Known
from transforms.stages.parse import Arrived

SNAPSHOT = ROOT / "tests" / "stability.json"

MEMBERSHIP = MembershipChange("0af1", 7, "ups", "seg", "realized", 2**51, 2**51, retry=True)
ATTRIBUTE = AttributeChange("0af1", 7, "person.name.firstName", '"Ada"', None, 3)
CHANGE = Change(
    "0af1-7-custom4", 7, "ops", "custom4", '"in"', "seg", None, "realized", 2**51, 3, retry=True
)
SAMPLES: tuple[Any, ...] = (
    Block("projects/p/subscriptions/s", 0, [b"{}", b"\x00"], 1, "id,é", 2**51, "17"),
    MEMBERSHIP,
    ATTRIBUTE,
    Arrived([MEMBERSHIP], [ATTRIBUTE], ["ann@example.com"], ["Ann"]),
    CHANGE,
    Patch(7, "ops", [CHANGE], 2, 2**51, 2**51 + 1),
    Outcome("rejected", [CHANGE], 2**51, "forbidden", "é", 403, "ops", "ann@example.com", "email"),
    DeadLetter("deliver", "forbidden", "é", "{}", "ops", 403, 2**51),
    Exclusion("7", "seg", "realized", 2**51, "é"),
    Known("null", None, -1),
)
"""One of each kind of element that travels or is kept."""


def graph_names(pipeline: Pipeline) -> dict[str, Any]:
    """Steps, and of those that keep something what, how it is written, and their timers."""
    context = PipelineContext(pipeline.components)

    def written(coder_id: str) -> str:
        return spelled(coders.Coder.from_runner_api(pipeline.components.coders[coder_id], context))

    keeping = {
        step.unique_name: {
            "state": {
                name: f"bag of {written(spec.bag_spec.element_coder_id)}"
                if spec.HasField("bag_spec")
                else written(spec.read_modify_write_spec.coder_id)
                for name, spec in sorted(payload.state_specs.items())
            },
            "timers": dict(sorted(timers(payload).items())),
        }
        for step, payload in par_dos(pipeline)
        if payload.state_specs
    }
    travelling = {
        each.unique_name.lstrip("0123456789"): written(each.coder_id)
        for each in pipeline.components.pcollections.values()
    }
    return {
        "steps": steps(pipeline),
        "keeping": dict(sorted(keeping.items())),
        "travelling": dict(sorted(travelling.items())),
    }


def spelled(coder: Any) -> str:
    """How a coder writes, in words that stay the same in each process."""
    match coder:
        case ElementCoder():
            return f"{coder._element.__name__} row"
        case coders.TupleCoder():
            return f"({', '.join(map(spelled, coder.coders()))})"
        case coders.ListCoder():
            return f"list of {spelled(coder._elem_coder)}"
        case _:
            return type(coder).__name__.removesuffix("Coder")


def row_of(sample: Any) -> dict[str, Any]:
    """The layout of a kind of element, and the bytes of one."""
    kind = type(sample)
    return {
        "fields": [f"{name}: {in_words(hint)}" for name, hint in get_type_hints(kind).items()],
        "written": coders.registry.get_coder(kind).encode(sample).hex(),
    }


def in_words(hint: Any) -> str:
    """A field's type, alike in each version of Python."""
    parts = [in_words(each) for each in get_args(hint) if each is not type(None)]
    if type(None) in get_args(hint):
        return f"{' or '.join(parts)} or None"
    return f"sequence of {parts[0]}" if parts else str(hint.__name__)


def current(folder: Path) -> dict[str, Any]:
    """What is so now."""
    rows = {type(sample).__name__: row_of(sample) for sample in SAMPLES}
    return {"version": VERSION, "rows": rows, **graph_names(launch(folder).pipeline)}


def stored() -> dict[str, Any]:
    """What was so when the snapshot was written."""
    return dict(json.loads(SNAPSHOT.read_text(encoding="utf-8")))


def write() -> None:
    """Writes the snapshot, and keeps the rows of before."""
    with tempfile.TemporaryDirectory() as folder:
        now = current(Path(folder))
    before: dict[str, list[str]] = stored()["earlier"] if SNAPSHOT.exists() else {}
    if SNAPSHOT.exists() and stored()["version"] == VERSION:
        for name, row in stored()["rows"].items():
            if name in now["rows"] and row["written"] != now["rows"][name]["written"]:
                before.setdefault(name, []).append(row["written"])
    else:
        before = {}  # A job of another version is drained, and leaves no rows.
    content = json.dumps({**now, "earlier": before}, indent=1, ensure_ascii=False)
    SNAPSHOT.write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
