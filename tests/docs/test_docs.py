"""The documents say what the program does: their examples are read, their tables compared."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipeline.cli import cli
from pipeline.destination.file import load_destination
from pipeline.engine.org.account_links import ACCOUNT_AMBIGUOUS, ACCOUNT_UNKNOWN
from pipeline.io.files import blocks
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from pipeline.summary import Counts, with_unmapped
from tests.support.processes.program import ROOT, environment, run
from transforms.elements import DEFERRED, DELIVERED, OUTCOMES, Change, Outcome
from transforms.fold import gather, settle
from transforms.mapping import Mapping, OutreachUser, Plan
from transforms.outreach.proof import NOT_KEPT
from transforms.outreach.responses import Fate, classify
from transforms.receipts import dead_letter_line, dead_letters, receipts
from transforms.stages.parse import Parsed, parse
from transforms.stages.refuse_unresolved import IDENTITY_AMBIGUOUS, PROSPECT_UNKNOWN
from transforms.times import format_time, parse_time

FORMATS = ROOT / "docs" / "formats.md"
DESIGN = ROOT / "docs" / "design.md"
SOURCES = ("person.name.firstName", "jobTitle")
"""Attributes that the examples carry."""

CHANGE = Change("id", 1, "ops", "custom4", '"x"', "s", None, "realized", 0, 0)


def fenced(page: Path, kind: str) -> list[str]:
    """The fenced blocks of a page whose fence says `kind`."""
    text = page.read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of all table rows between a heading and the next of its level or above."""
    text = page.read_text("utf-8")
    level = len(heading) - len(heading.lstrip("#"))
    part = re.split(rf"^#{{1,{level}}} ", text.partition(f"\n{heading}\n")[2], flags=re.MULTILINE)
    lines = [line for line in part[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if set("".join(row)) - {"-", ":"}]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def read(folder: Path, name: str, text: str) -> Parsed:
    """An example as `replay` reads it from a file."""
    (folder / name).write_text(text, encoding="utf-8")
    (block,) = blocks(str(folder / name), 0)
    return parse(block, "Oid", SOURCES, 0)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_every_example_of_input_is_read_without_a_dead_letter(tmp_path: Path, kind: str) -> None:
    examples = fenced(FORMATS, kind)
    assert examples
    for text in examples:
        parsed = read(tmp_path, f"example.{kind}", text)
        assert parsed.dead_letters == []
        assert parsed.memberships
        assert {one.source for one in parsed.attributes} <= set(SOURCES)
        assert parsed.attributes


def test_every_spelling_of_a_time_is_read_as_the_page_says() -> None:
    spellings = [row for row in rows(FORMATS, "### Times") if row[0].startswith("`")]
    assert len(spellings) > 10
    for given, meant in spellings:
        assert format_time(parse_time(json.loads(given.strip("`")))) == meant.strip("`"), given


def test_the_example_of_an_untimed_change_between_timed_ones_ends_as_the_page_says() -> None:
    ten, untimed, nine = (
        CHANGE._replace(change_id=str(place), event_time=time, sequence=place)
        for place, time in enumerate([10, None, 9])
    )
    for order in itertools.permutations([ten, untimed, nine]):
        held: dict[int, dict[str, Change]] = {}
        gather(held, order)
        assert settle(held[1])[0] == [untimed]


def test_a_receipt_has_the_keys_that_the_page_shows_and_explains() -> None:
    (example,) = fenced(FORMATS, "json receipt")
    (written,) = receipts(Outcome(DELIVERED, [CHANGE], 0))
    table = rows(FORMATS, "## Receipts")
    explained = [quoted(row[0])[0] for row in table if row[0].startswith("`")]
    assert list(json.loads(example)) == list(json.loads(written))
    assert explained == [*json.loads(written), *OUTCOMES]


def test_a_dead_letter_has_the_keys_that_the_page_shows_and_explains(tmp_path: Path) -> None:
    (letter,) = dead_letters(Outcome(DEFERRED, [CHANGE], 0))
    written = json.loads(dead_letter_line(letter))
    explained = [
        quoted(row[0])[0] for row in rows(FORMATS, "## Dead letters")[1 : 1 + len(written)]
    ]
    assert explained == list(written)
    unread, refused = (json.loads(text) for text in fenced(FORMATS, "json dead letter"))
    assert list(unread) == list(refused) == list(written)
    assert list(refused["payload"]) == list(written["payload"])

    again = read(tmp_path, "unread.jsonl", json.dumps(unread)).dead_letters
    assert [(one.reason, one.detail) for one in again] == [(unread["reason"], unread["detail"])]
    (membership,) = read(tmp_path, "refused.jsonl", json.dumps(refused)).memberships
    change_id = f"{membership.arrival_id}-{membership.outreach_id}-custom4"
    assert change_id == refused["payload"]["change_id"]


def reasons() -> Iterator[tuple[str, str]]:
    """Every stage and reason that the program gives a dead letter."""
    for module in (ROOT / "transforms" / "formats").rglob("*.py"):
        for reason in re.findall(r'Refused\(\s*"(\w+)"', module.read_text("utf-8")):
            yield "parse", reason
    bodies = (b"", b"<html>", b'{"errors":[{"id":"scheduledServerMaintenance"}]}')
    for status, body in itertools.product(range(100, 600), bodies):
        verdict = classify(status, {}, body, 0.0)
        if verdict.fate in (Fate.REFUSED, Fate.FIELD_REFUSED, Fate.TROUBLE):
            yield "deliver", verdict.reason
    # Of `transforms.stages.map`, of a drain, of a 2xx that proves nothing, and of resolve.
    of_accounts = (ACCOUNT_UNKNOWN, ACCOUNT_AMBIGUOUS)
    others = ("value_invalid", DEFERRED, NOT_KEPT, PROSPECT_UNKNOWN, IDENTITY_AMBIGUOUS)
    yield from (("deliver", reason) for reason in of_accounts)
    yield from (("deliver", reason) for reason in others)


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    table = rows(FORMATS, "### Reasons")[1:]
    explained = [(stage.strip("`"), reason.strip("`")) for stage, reason, *_ in table]
    assert len(explained) == len(set(explained))
    assert set(explained) == set(reasons())


def test_the_summary_has_the_keys_that_the_page_shows_and_explains() -> None:
    (example,) = fenced(FORMATS, "json summary")
    explained = [key for row in rows(FORMATS, "## Summary")[1:] for key in quoted(row[0])]
    assert list(json.loads(example)) == list(Counts({}).summary(0.0, dry_run=False))
    kept = Counts({"map/out-changes": 1, "patch/out-kept": 1}).summary(0.0, dry_run=False)
    rehearsed = Counts({}).summary(0.0, dry_run=True)
    skewed = Counts({"parse/out-skewed": 1, "parse/out-excluded": 1}).summary(0.0)
    unmapped = with_unmapped({}, {"s": 1}, Mapping(Plan("Oid", (), (), (OutreachUser("ops", 1),))))
    assert set(explained) == {*kept, *rehearsed, *skewed, *unmapped}
    assert kept["changes"] == 0


def counters() -> Iterator[tuple[str, str]]:
    """Every counter that the program has, by namespace; those of reasons apart."""
    for module in (ROOT / "transforms").rglob("*.py"):
        found = re.findall(r'\.counter\("([\w-]+)", (f?)"([^"]+)"', module.read_text("utf-8"))
        for namespace, is_pattern, name in found:
            names = [name.replace("{name}", each) for each in OUTCOMES] if is_pattern else [name]
            yield from ((namespace, each) for each in names)
    yield "patch", "cumulativeThrottlingSeconds"  # of Beam's ThrottlingSignaler


def test_every_counter_is_on_the_page() -> None:
    table = rows(FORMATS, "## Counters")[1:]
    named = {(quoted(row[0])[0], name) for row in table for name in quoted(row[1])}
    assert "unmapped" in [quoted(row[0])[0] for row in table]  # Its names are segments.
    assert named == set(counters())


def test_every_answer_on_the_page_is_decided_as_it_says() -> None:
    table = [row for row in rows(DESIGN, "## Answers") if re.match(r"\d", row[0])]
    bodies = {
        "`unauthorizedOauthScope`": b'{"errors":[{"id":"unauthorizedOauthScope"}]}',
        "`scheduledServerMaintenance`": b'{"errors":[{"id":"scheduledServerMaintenance"}]}',
        "a web page": b"<html><title>Blocked</title></html>",
    }
    fates = {
        "receipts": Fate.ACCEPTED,
        "reject this prospect's changes": Fate.REFUSED,
        "reject the fields it names and send the others": Fate.FIELD_REFUSED,
        "grant nothing until the time it names, then one request alone": Fate.THROTTLED,
        "wait until the time it names": Fate.MAINTENANCE,
        "repeat with backoff": Fate.TROUBLE,
        "ask the credential for another and repeat": Fate.UNAUTHENTICATED,
        "pause": Fate.PAUSE,
    }
    assert len(table) > 10
    for answer, reason, _, action in table:
        body = next((body for said, body in bodies.items() if said in answer), b"")
        for status in re.findall(r"\d{3}", answer.replace("2xx", "200 204")):
            verdict = classify(int(status), {}, body, 0.0)
            assert verdict.reason == reason.strip("`"), answer
            assert [verdict.fate] == [
                fate for said, fate in fates.items() if action.startswith(said)
            ]


def test_every_destination_in_the_readme_loads(tmp_path: Path) -> None:
    examples = fenced(ROOT / "README.md", "yaml")
    assert examples
    for text in examples:
        (tmp_path / "destination.yaml").write_text(text, encoding="utf-8")
        assert load_destination(str(tmp_path / "destination.yaml")).audiences


@pytest.mark.real
def test_the_first_use_in_the_readme_works_to_the_letter(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    (destination,), (table,) = fenced(readme, "yaml"), fenced(readme, "csv")
    (rehearse,), (real,) = fenced(readme, "sh rehearse"), fenced(readme, "sh real")
    (tmp_path / "changes.csv").write_text(table, encoding="utf-8")
    there = {**environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    del there["OUTREACH_TOKEN"]

    def typed(commands: str) -> list[dict[str, object]]:
        ended = subprocess.run(
            ["bash", "-ec", commands], cwd=tmp_path, env=there, capture_output=True, check=False
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return [json.loads(line) for line in ended.stdout.splitlines() if line[:1] == b"{"]

    (tmp_path / "destination.yaml").write_text(destination, encoding="utf-8")
    (rehearsed,) = typed(rehearse)
    assert rehearsed["delivered"] == rehearsed["changes"] == 2
    assert len((tmp_path / "rehearsal.jsonl").read_text("utf-8").splitlines()) == 2

    prospects = tmp_path / "prospects.jsonl"
    prospects.write_text('{"id": 1234}\n{"id": 1235}\n', encoding="utf-8")
    with running_sandbox(SandboxOptions(prospects_from=prospects)) as sandbox:
        (tmp_path / "destination.yaml").write_text(
            destination.replace("users:", f"outreach: {{base_url: '{sandbox.url}'}}\nusers:", 1)
        )
        (delivered,) = typed(real.replace("…", "token"))
        assert delivered["delivered"] == 2
        held = {each: fields["custom4"] for each, fields in sandbox.prospects().items()}
    assert held == {1234: "realized", 1235: "exited"}


def test_every_command_in_the_readme_is_one() -> None:
    table = rows(ROOT / "README.md", "### Commands")
    named = [quoted(row[0])[0].split()[0] for row in table if row[0].startswith("`")]
    assert "replay" in named
    for name in named:
        assert cli.get_command(click.Context(cli), name), name


@pytest.mark.real
def test_the_figures_of_the_demo_are_what_the_examples_come_to(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (said,) = [json.loads(line) for line in text.splitlines() if line.startswith('{"records"')]
    examples = ROOT / "examples"
    options = SandboxOptions(prospects_from=examples / "prospects.jsonl")
    with running_sandbox(options) as sandbox:
        destination = (examples / "destination.yaml").read_text("utf-8")
        (tmp_path / "destination.yaml").write_text(
            destination.replace("users:", f'outreach: {{base_url: "{sandbox.url}"}}\nusers:', 1)
        )
        files = [
            str(examples / name) for name in ("profiles.jsonl", "changes.jsonl", "changes.csv")
        ]
        summary = run(tmp_path, "replay", *files, "--destination=destination.yaml").summary
    # How many turns a scarce budget makes of it, and so how often it reads, may differ by a few.
    assert abs(summary["requests"] - said["requests"]) <= 3
    given = {"seconds": 0, "requests": 0}
    assert {**summary, **given} == {**said, **given}
    shown = dict(re.findall(r"^ +([\d,]+)    (\w+)", text, re.MULTILINE))
    assert {name: int(count.replace(",", "")) for count, name in shown.items()} == {
        name: count for name, count in said.items() if count and name in shown.values()
    }
