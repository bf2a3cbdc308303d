"""What the files of `--input` would take, counted without a request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.commands.validate import validate_command
from tests.pipeline.preflight.validating import INTENT, Validate, outreach, rows, user
from transforms.budget.forecast import hours
from transforms.budget.terms import BudgetTerms

pytestmark = pytest.mark.real


def change(prospect: object, segment: str = "aaaa-1111", **more: object) -> str:
    said = {"outreach_id": prospect, "segment": segment, "status": "realized", **more}
    return json.dumps(said)


def test_the_input_is_counted_by_user_without_a_request(validate: Validate) -> None:
    lines = [change(n % 40 + 1) for n in range(100)]
    lines += [change(7, "zzzz"), "nonsense", change("x")]
    (validate.folder / "a.jsonl").write_text("\n".join(lines[:50]), encoding="utf-8")
    (validate.folder / "b.jsonl").write_text("\n".join(lines[50:]), encoding="utf-8")
    slow = {"requests": 12, "reserve": 2}
    validate.write("http://127.0.0.1:9", users=[user("ops", budget=slow), user("ann", budget=slow)])
    said = validate("--input", str(validate.folder / "a*"), "--input", f"{validate.folder}/b.jsonl")
    assert said.status == 0
    found = said.found["estimate"]
    assert "live" not in said.found
    assert [Path(file).name for file in found["files"]] == ["a.jsonl", "b.jsonl"]
    assert (found["records"], found["unreadable"], found["unmapped"]) == (103, 2, 1)
    assert found["unmapped_segments"] == [{"segment": "zzzz", "count": 1, "resembles": None}]
    assert (found["changes"], found["prospects"], found["requests"]) == (100, 40, 40)
    ops, ann = found["users"]
    assert ops["prospects"] + ann["prospects"] == 40
    assert ops["prospects"] > 10  # so that it takes more than one hour
    assert ops["hours"] == (ops["prospects"] - 1) // 10
    assert found["hours"] == max(ops["hours"], ann["hours"])
    assert "in 103 records: 100 changes, 1 memberships unmapped, 2 unreadable" in rows(said)
    assert f"ops {ops['prospects']} {ops['hours']:.1f} hours" in rows(said)
    assert rows(said)[-1] == "ready to be used; nothing was sent"


@pytest.mark.parametrize(
    ("requests", "expected"), [(0, 0.0), (1, 0.0), (9_500, 0.0), (9_501, 1.0), (28_501, 3.0)]
)
def test_a_budget_is_spent_at_once_and_again_each_hour(requests: int, expected: float) -> None:
    assert hours(requests, BudgetTerms(10_000, 3_600, 500)) == expected


def test_values_in_the_input_that_a_live_field_refuses_are_counted(validate: Validate) -> None:
    lines = [
        change(1, attributes={"score": 7}),
        change(2, attributes={"score": "high"}),
        change(3, "zzzz", attributes={"score": "low"}),
    ]
    path = validate.folder / "changes.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with outreach(INTENT, "custom9:label=Score,type=number") as sandbox:
        validate.write(sandbox.url, attributes=[{"source": "score", "target": "custom9"}])
        said = validate("--live", "--input", str(path))
    assert said.status == 0
    found = said.found["estimate"]
    assert (found["changes"], found["refused"], found["prospects"]) == (5, 2, 2)
    assert found["refusals"] == {"custom9": "custom9 (Score) refuses 'high': it takes a number"}
    assert "custom9 (Score) refuses 'high': it takes a number" in rows(said)
    assert "custom9 score Score number unknown" in rows(said)


def test_input_that_is_not_there_ends_with_2(
    validate: Validate, capsys: pytest.CaptureFixture[str]
) -> None:
    validate.write("http://127.0.0.1:9")
    with pytest.raises(SystemExit) as ended:
        validate_command.main(["--destination", str(validate.path), "--input=absent.jsonl"])
    assert ended.value.code == 2
    assert "no file matches 'absent.jsonl'" in capsys.readouterr().err
