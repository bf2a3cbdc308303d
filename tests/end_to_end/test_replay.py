"""`replay`, as its user runs it, against the sandbox over HTTP."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.program import (
    ROOT,
    TOKEN,
    environment,
    json_lines,
    replay,
    run,
    write_destination,
    write_lines,
)
from tests.support.trace import expected, flat_lines, profile, segments

pytestmark = pytest.mark.real

SEGMENTS = segments(3)
FIELDS = {segment: f"custom{number}" for number, segment in enumerate(SEGMENTS, 4)}
NUMBERS = {segment: number for number, segment in enumerate(SEGMENTS, 4)}
OUTCOMES = ("delivered", "unchanged", "superseded", "rejected", "deferred")
MOMENT = "2026-01-02T03:04:05Z"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=60)) as running:
        yield running


def line(prospect: object, segment: str = SEGMENTS[0], status: str = "realized") -> str:
    return json.dumps(
        {"outreach_id": prospect, "segment": segment, "status": status, "event_time": MOMENT}
    )


def values(sandbox: Sandbox) -> dict[int, dict[str, object]]:
    """What the fields of audiences hold, where they hold something."""
    held = {
        prospect: {field: attributes.get(field) for field in FIELDS.values()}
        for prospect, attributes in sandbox.prospects().items()
    }
    filled = {
        prospect: {field: value for field, value in fields.items() if value is not None}
        for prospect, fields in held.items()
    }
    return {prospect: fields for prospect, fields in filled.items() if fields}


def patches(sandbox: Sandbox) -> list[int]:
    """Statuses of the answers to PATCH, in order."""
    return [one.status for one in sandbox.requests() if one.method == "PATCH"]


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


def test_a_refused_credential_sends_nothing_and_says_what_mends_it(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=9, tokens={"another": "ops"})) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 10)])
        write_destination(tmp_path, sandbox.url, NUMBERS)

        ended = replay(tmp_path, "in.jsonl")

        assert ended.status == 2
        assert "OUTREACH_TOKEN" in ended.stderr
        assert ended.stdout == ""
        assert ended.dead_letters == []
        assert values(sandbox) == {}


def test_a_paused_user_does_not_stop_the_others(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=40, tokens={"good": "good"})) as sandbox:
        write_lines(tmp_path / "in.jsonl", [line(prospect) for prospect in range(1, 41)])
        write_destination(
            tmp_path,
            sandbox.url,
            NUMBERS,
            users=[
                {"name": name, "auth": {"type": "bearer", "token_env": f"OUTREACH_{name}"}}
                for name in ("good", "bad")
            ],
        )

        ended = run(
            tmp_path, "replay", "in.jsonl", "--destination=destination.yaml",
            "--dead_letters=dead_letters.jsonl",
            variables=environment(OUTREACH_good="good", OUTREACH_bad="bad"),
        )  # fmt: skip

        assert ended.status == 1
        assert "OUTREACH_bad" in ended.stderr
        assert ended.dead_letters == []
        assert 0 < len(values(sandbox)) < 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["in.jsonl", "--recipts=x"], "receipts"),
        (["in.jsonl", "--destination=absent.yaml"], "absent.yaml"),
        (["in.jsonl", "--receipts=in.jsonl"], "are the same file"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, arguments: list[str], said: str
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = run(tmp_path, "replay", "--destination=destination.yaml", *arguments)

    assert ended.status == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sandbox.requests() == []
    assert (tmp_path / "in.jsonl").read_text() == line(1) + "\n"


def test_a_missing_variable_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write_lines(tmp_path / "in.jsonl", [line(1)])
    write_destination(tmp_path, sandbox.url, NUMBERS)
    variables = environment()
    del variables["OUTREACH_TOKEN"]

    ended = run(
        tmp_path, "replay", "in.jsonl", "--destination=destination.yaml", variables=variables
    )

    assert ended.status == 2
    assert "OUTREACH_TOKEN" in ended.stderr
    assert "destination.yaml:" in ended.stderr
    assert sandbox.requests() == []


def test_no_token_is_ever_written(sandbox: Sandbox, tmp_path: Path) -> None:
    lines = [line(prospect) for prospect in random.Random(1).sample(range(1, 99), 50)]
    write_lines(tmp_path / "in.jsonl", [*lines, "{broken"])
    write_destination(tmp_path, sandbox.url, NUMBERS)

    ended = replay(tmp_path, "in.jsonl")

    written = (tmp_path / "receipts.jsonl").read_text()
    written += (tmp_path / "dead_letters.jsonl").read_text()
    assert ended.dead_letters
    assert TOKEN not in ended.stdout + ended.stderr + written


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
