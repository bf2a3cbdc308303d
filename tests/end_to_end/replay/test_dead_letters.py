"""What is bad or refused is a dead letter, and one that was mended is delivered."""

from __future__ import annotations

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


def test_bad_input_becomes_dead_letters_and_costs_nothing_else(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    broken = '{"outreach_id": 1, '
    write_lines(
        tmp_path / "in.jsonl",
        [
            broken,
            '{"what": "is this"}',
            line("seven"),
            profile(5, {SEGMENTS[0]: ("joined", MOMENT), SEGMENTS[1]: ("exited", MOMENT)}),
            line(6),
        ],
    )
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "in.jsonl")

    assert ended.status == 3
    assert [one["reason"] for one in ended.dead_letters] == [
        "not_json", "unknown_shape", "identity_invalid", "status_unknown",
    ]  # fmt: skip
    assert {one["stage"] for one in ended.dead_letters} == {"parse"}
    assert ended.dead_letters[0]["payload"] == broken
    assert ended.dead_letters[0]["source"].endswith("in.jsonl:1")
    assert ended.summary["unreadable"] == 4
    assert values(sandbox) == {5: {"custom5": "exited"}, 6: {"custom4": "realized"}}


def test_what_outreach_refuses_is_a_dead_letter_that_can_be_replayed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1), line(61), line(61, SEGMENTS[1])])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "in.jsonl")

    assert ended.status == 3
    assert ended.summary["rejected"] == 2
    refused = {one["change_id"] for one in ended.receipts if one["outcome"] == "rejected"}
    assert [one["reason"] for one in ended.dead_letters] == ["not_found", "not_found"]
    assert {one["http_status"] for one in ended.dead_letters} == {404}

    sandbox.seed([61])
    (tmp_path / "dead_letters.jsonl").rename(tmp_path / "again.jsonl")
    again = replay(tmp_path, "again.jsonl")

    assert again.status == 0
    assert {one["change_id"] for one in again.receipts} == refused
    assert values(sandbox)[61] == {"custom4": "realized", "custom5": "realized"}


def test_a_dead_letter_is_mapped_anew_by_a_mended_destination(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(61)])
    write_destination(tmp_path, sandbox.url, NUMBERS)
    replay(tmp_path, "in.jsonl")
    sandbox.seed([61])
    write_destination(tmp_path, sandbox.url, {SEGMENTS[0]: 99})
    (tmp_path / "dead_letters.jsonl").rename(tmp_path / "again.jsonl")

    replay(tmp_path, "again.jsonl")

    assert sandbox.prospects()[61]["custom99"] == "realized"
