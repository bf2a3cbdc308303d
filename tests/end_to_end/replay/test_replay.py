"""`replay`, as its user runs it, against the sandbox over HTTP."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.data.three_audiences import (
    FIELDS,
    MOMENT,
    NUMBERS,
    SEGMENTS,
    line,
    patches,
    values,
)
from tests.support.data.trace import expected, flat_lines
from tests.support.processes.program import (
    ROOT,
    environment,
    json_lines,
    replay,
    run,
    write_destination,
    write_lines,
)

pytestmark = pytest.mark.real
OUTCOMES = ("delivered", "unchanged", "superseded", "rejected", "deferred")


def test_a_shuffled_trace_ends_in_the_newest_values_with_one_receipt_a_change(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    lines = list(flat_lines(400, 50, [*SEGMENTS, "nobody's"]))
    write_lines(tmp_path / "trace.jsonl", lines)
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "trace.jsonl", more=["--summary=summary.json"])

    state = expected(lines, FIELDS)
    mapped = sum(json.loads(each)["segment"] in FIELDS for each in lines)
    summary = ended.summary
    assert ended.status == 0
    assert values(sandbox) == state
    assert patches(sandbox) == [200] * len(state)
    assert len(ended.receipts) == summary["changes"] == mapped
    assert summary["changes"] == sum(summary[outcome] for outcome in OUTCOMES)
    assert Counter(one["outcome"] for one in ended.receipts) == {
        outcome: summary[outcome] for outcome in OUTCOMES if summary[outcome]
    }
    assert summary["records"] == 400
    assert summary["unmapped"] == 400 - mapped
    assert summary["requests"] == len(sandbox.requests())
    assert summary["throttled"] == 0
    assert sandbox.violations() == []
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_a_receipt_names_the_change_its_value_its_time_and_its_end(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "one.jsonl", [line(7)])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    (receipt,) = replay(tmp_path, "one.jsonl").receipts

    assert list(receipt) == [
        "change_id", "outreach_id", "segment", "field", "value", "event_time",
        "outcome", "reason", "http_status", "user", "recorded_at",
    ]  # fmt: skip
    assert receipt["outreach_id"] == 7
    assert receipt["segment"] == SEGMENTS[0]
    assert receipt["field"] == "custom4"
    assert receipt["value"] == "realized"
    assert receipt["event_time"] == MOMENT
    assert receipt["outcome"] == "delivered"
    assert receipt["http_status"] == 200
    assert receipt["user"] == "ops"


def test_values_that_prospects_hold_already_cost_one_request_for_all(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=150)) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 151)])
        write_destination(tmp_path, sandbox.url, NUMBERS)
        replay(tmp_path, "in.jsonl")
        asked = len(sandbox.requests())

        ended = replay(tmp_path, "in.jsonl")

        assert ended.summary["unchanged"] == 150
        assert len(sandbox.requests()) - asked == ended.summary["requests"] == 1


def test_a_dry_run_sends_nothing_and_says_what_would_be_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1), line(1, status="exited"), line(2)])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "in.jsonl", more=["--dry-run"])

    assert sandbox.requests() == []
    assert ended.status == 0
    assert ended.summary["dry_run"] is True
    assert (ended.summary["delivered"], ended.summary["superseded"]) == (2, 1)
    assert ended.summary["requests"] == 0


def test_a_private_sandbox_needs_no_credential_and_holds_the_prospects(tmp_path: Path) -> None:
    write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in (5, 77, 123456789)])
    write_destination(tmp_path, "https://api.outreach.io", NUMBERS)
    variables = environment()
    del variables["OUTREACH_TOKEN"]

    ended = run(
        tmp_path, "replay", "in.jsonl", "--destination=destination.yaml", "--sandbox",
        variables=variables,
    )  # fmt: skip

    assert ended.status == 0
    assert ended.summary["delivered"] == 3


@pytest.mark.parametrize("budget", [{}, {"requests": 200, "per_seconds": 2, "reserve": 10}])
def test_over_a_ledger_no_request_changes_nothing_however_scarce_the_budget(
    tmp_path: Path, budget: dict[str, int]
) -> None:
    examples = ROOT / "examples"
    options = SandboxOptions(prospects_from=examples / "prospects.jsonl")
    with running_sandbox(options) as sandbox:
        destination = (examples / "destination.yaml").read_text("utf-8")
        destination = destination.replace(
            "users:", f"outreach: {{base_url: '{sandbox.url}'}}\nusers:"
        )
        if budget:
            destination = re.sub(r"budget: {.*}", f"budget: {json.dumps(budget)}", destination)
        (tmp_path / "destination.yaml").write_text(destination, encoding="utf-8")
        files = [str(examples / name) for name in ("profiles.jsonl", "changes.jsonl")]
        replay(tmp_path, *files, more=["--ledger=l.db"])

        sent = [one for one in sandbox.requests() if one.method == "PATCH" and one.status == 200]
    assert len(sent) > 300
    assert [one.path for one in sent if not one.altered] == []


def test_what_is_replayed_is_as_fresh_as_it_was_read_however_old_it_is(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_destination(tmp_path, sandbox.url, NUMBERS)
    write_lines(tmp_path / "in.jsonl", [line(each) for each in range(1, 9)])
    ended = replay(tmp_path, "in.jsonl", more=["--ledger=ledger.db", "--report=report.html"])
    assert ended.summary["delivered"] == 8
    told = json.loads(run(tmp_path, "status", "--ledger=ledger.db", "--json").stdout)
    (fresh,) = [each["freshness"] for each in told["audiences"] if each["freshness"]]
    assert fresh["changes"] == 8
    assert 0 < fresh["p50"] <= fresh["p99"] <= ended.summary["seconds"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert re.search(r"arrival here to its delivery: \d+\.\d s for half of them", page)


def test_a_rehearsal_delivers_nothing_and_tells_no_freshness(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_destination(tmp_path, sandbox.url, NUMBERS)
    write_lines(tmp_path / "in.jsonl", [line(each) for each in range(1, 9)])
    replay(tmp_path, "in.jsonl", more=["--dry_run", "--report=report.html"])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "rehearsed" in page
    assert "to its delivery" not in page


def test_the_budget_is_waited_for_and_never_exceeded(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=90, limit=40, hour=1.0, window="sliding")
    with running_sandbox(options) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 91)])
        terms = {"requests": 40, "per_seconds": 1.0, "reserve": 5}
        write_destination(tmp_path, sandbox.url, NUMBERS, budget=terms)

        ended = replay(tmp_path, "in.jsonl")

        arrivals = [one.started_at for one in sandbox.requests()]
        assert ended.summary["delivered"] == 90
        assert ended.summary["throttled"] == 0
        assert all(
            sum(start <= arrival < start + 1.0 for arrival in arrivals) <= 35 for start in arrivals
        )
        assert sandbox.violations() == []


def test_no_earlier_output_is_ever_deleted_however_often_a_replay_is_run(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_destination(tmp_path, sandbox.url, NUMBERS)
    summaries = []
    for n in range(1, 4):
        write_lines(tmp_path / "in.jsonl", [f"{{broken {n}"])
        ended = replay(tmp_path, "in.jsonl", more=["--summary=summary.json"])
        summaries.append(ended.summary)
    write_lines(tmp_path / "in.jsonl", [line(1)])

    ended = replay(tmp_path, "in.jsonl", more=["--summary=summary.json"])

    assert ended.dead_letters == []
    assert "dead_letters.jsonl.3" in ended.stderr
    kept = [tmp_path / f"dead_letters.jsonl.{n}" for n in (1, 2, 3)]
    assert [json_lines(path)[0]["payload"] for path in kept] == [f"{{broken {n}" for n in (1, 2, 3)]
    earlier = [tmp_path / f"summary.json.{n}" for n in (1, 2, 3)]
    assert [json.loads(path.read_text()) for path in earlier] == summaries


def test_a_backlog_under_a_scarce_budget_is_read_before_it_is_written(tmp_path: Path) -> None:
    options = SandboxOptions(prospects=600, limit=160, hour=1.0, window="sliding")
    with running_sandbox(options) as sandbox:
        sandbox.seed({prospect: {"custom4": "realized"} for prospect in range(1, 601, 2)})
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 601)])
        terms = {"requests": 160, "per_seconds": 1.0, "reserve": 10}
        write_destination(tmp_path, sandbox.url, NUMBERS, budget=terms)

        ended = replay(tmp_path, "in.jsonl")

        # 300 hold the value already. Fewer than a hundred at the end are not worth reading.
        assert ended.summary["delivered"] + ended.summary["unchanged"] == 600
        assert ended.summary["unchanged"] >= 250
        assert ended.summary["requests"] <= 300 + 50 + 10
        assert sandbox.violations() == []
