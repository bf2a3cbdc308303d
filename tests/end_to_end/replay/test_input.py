"""Every way to name input is read, and lines are known wherever they stand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.sandbox.server import Sandbox
from tests.support.data.three_audiences import MOMENT, NUMBERS, SEGMENTS, line, values
from tests.support.data.trace import profile
from tests.support.processes.program import (
    replay,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real


@pytest.mark.parametrize("more", [["--dry_run"], ["--ledger=l.db"]])
def test_the_unmapped_segments_that_came_most_often_are_named_with_what_was_meant(
    sandbox: Sandbox, tmp_path: Path, more: list[str]
) -> None:
    mapped = next(iter(NUMBERS))
    mistyped = f"ups:{mapped.upper()}"
    lines = [line(1)] + [line(2, segment=mistyped)] * 3 + [line(2, segment="[red]:x:")]
    write_lines(tmp_path / "in.jsonl", lines)
    write_destination(tmp_path, sandbox.url, NUMBERS)

    for _ in range(2):
        ended = replay(tmp_path, "in.jsonl", more=more)

        assert ended.summary["unmapped_segments"] == [
            {"segment": mistyped, "count": 3, "resembles": mapped},
            {"segment": "[red]:x:", "count": 1, "resembles": None},
        ]
        assert f"unmapped most often: '{mistyped}' (3), '[red]:x:' (1)" in ended.stderr
        assert f"mistyped? '{mistyped}' is no audience of the destination" in ended.stderr


def test_the_same_line_gives_the_same_id_wherever_it_stands(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    lines = [line(prospect) for prospect in range(1, 9)]
    write_lines(tmp_path / "a.jsonl", lines)
    write_lines(tmp_path / "b.jsonl", list(reversed(lines)))
    write_destination(tmp_path, sandbox.url, NUMBERS)

    first = {one["change_id"] for one in replay(tmp_path, "a.jsonl").receipts}
    second = {one["change_id"] for one in replay(tmp_path, "b.jsonl").receipts}

    assert first == second
    assert len(first) == 8


def test_lines_without_a_time_keep_their_place_and_the_later_wins(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    def untimed(status: str) -> str:
        return json.dumps({"outreach_id": 1, "segment": SEGMENTS[0], "status": status})

    write_lines(tmp_path / "a.jsonl", [untimed("realized"), line(2), untimed("existing")])
    write_lines(tmp_path / "b.jsonl", [untimed("exited")])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    replay(tmp_path, "a.jsonl", "b.jsonl")

    assert values(sandbox)[1] == {"custom4": "exited"}


def test_every_way_to_name_input_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [line(1)])
    write_lines(tmp_path / "in" / "b.jsonl", [line(2)])
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(line(3).encode()))
    (tmp_path / "d.csv").write_text(f"outreach_id,segment,status\n4,{SEGMENTS[0]},realized\n")
    indented = json.dumps(json.loads(profile(5, {SEGMENTS[0]: ("realized", MOMENT)})), indent=2)
    (tmp_path / "e.json").write_text(indented)
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(
        tmp_path, "in/*.jsonl", "c.jsonl.gz", "d.csv", "e.json", "-", given=line(6).encode()
    )

    assert ended.summary["records"] == 6
    assert sorted(values(sandbox)) == [1, 2, 3, 4, 5, 6]
