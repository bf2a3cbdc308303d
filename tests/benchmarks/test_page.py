"""The page of measurements, of which a part may be measured anew."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as program
from benchmarks import page
from benchmarks.measure import Result

FAST = Result("Speed", "2.00", "≥ 1.00", met=True)
SLOW = Result("Speed", "0.50", "≥ 1.00", met=False)
UNKNOWN = Result("Latency: no Pub/Sub", "-", "-", met=None)


def test_a_module_that_is_run_alone_leaves_the_tables_of_others_as_they_are() -> None:
    tables = {"speed": page.table([FAST], "then"), "thrift": page.table([SLOW], "then")}
    before = page.written(program.MODULES, tables)
    fresh = {**page.sections(before), "speed": page.table([SLOW, UNKNOWN], "now")}
    after = page.written(program.MODULES, fresh)
    assert page.sections(after)["thrift"] == tables["thrift"]
    assert page.sections(after)["speed"].splitlines() == [
        "now",
        "",
        "| what | measured | aim | |",
        "|---|---:|---:|---|",
        "| Speed | 0.50 | ≥ 1.00 | missed |",
        "| Latency: no Pub/Sub | - | - | not measured |",
    ]


def test_the_page_that_is_kept_is_written_as_it_would_be() -> None:
    kept = program.RESULTS.read_text(encoding="utf-8")
    assert page.written(program.MODULES, page.sections(kept)) == kept
    assert set(page.sections(kept)) == set(program.MODULES)


def test_a_module_that_is_not_there_is_refused_before_any_is_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(["thrift", "thirst"])
    assert "there is no module thirst; there are thrift, faults" in capsys.readouterr().err
