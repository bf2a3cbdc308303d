"""The directory: requests to read an org, what a prospect takes, how fast changes resolve."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.measure import PROGRAM, Result, destination, replay, run, sandbox
from pipeline.ledger.directory.lookup import LedgerLookup
from transforms.elements import Block
from transforms.mapping import Mapping
from transforms.plan import Audience, OutreachUser, Plan
from transforms.stages.parse import Arrived, parse
from transforms.stages.resolve import resolve

SEGMENT = "5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"
PROSPECTS = 100_000
CHANGES = 200_000
BLOCK = 5_000
"""Changes that are resolved together: about a megabyte of a file."""


def address(number: int) -> str:
    return f"person.number{number}@company{number % 977}.example.com"


def prospects(folder: Path) -> Path:
    path = folder / "prospects.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, PROSPECTS + 1):
            attributes = {"emails": [address(number)], "custom4": "existing"}
            file.write(json.dumps({"id": number, "attributes": attributes}) + "\n")
    return path


def directory(folder: Path) -> list[Result]:
    """Reads an org of 100,000, then updates; resolves changes by address."""
    ledger = folder / "directory.db"
    with sandbox("--prospects_from", str(prospects(folder)), "--limit", "0") as url:
        path = Path(destination(folder, url, {SEGMENT: 4}))
        said = json.loads(path.read_text("utf-8"))
        said["identity"] = {"match": "email"}
        path.write_text(json.dumps(said), encoding="utf-8")
        words = ("--destination", str(path), "--ledger", str(ledger))
        token = {"OUTREACH_TOKEN": "bench"}
        whole = run([*PROGRAM, "pull", *words], token)
        size = ledger.stat().st_size
        again = run([*PROGRAM, "pull", *words, "--full"], token)
        changes = folder / "changes.jsonl"
        with changes.open("w", encoding="utf-8") as file:
            for number in range(1, PROSPECTS + 1):
                told = {"email": address(number), "segment": SEGMENT, "status": "existing"}
                file.write(json.dumps(told) + "\n")
        spared = replay(str(changes), *words)
    requests = whole.summary["requests"]
    rate = resolved(ledger)
    return [
        Result(
            f"requests to read {PROSPECTS:,} prospects", f"{requests:,}", "≤ 101", requests <= 101
        ),
        Result(
            "the same read again, ÷ the first time",
            f"{again.seconds / whole.seconds:.2f}",
            "≤ 1",
            again.seconds <= whole.seconds,
        ),
        Result("bytes of the ledger a prospect", f"{size / PROSPECTS:,.0f}", "≤ 300", size <= 3e7),
        Result(
            "requests for as many changes that the directory says are so",
            f"{spared.summary['requests']:,}",
            "0",
            spared.summary["requests"] == 0,
        ),
        Result("changes resolved by address, a second", f"{rate:,.0f}", "≥ 100,000", rate >= 1e5),
    ]


def resolved(ledger: Path) -> float:
    """How many parsed changes a second the resolve stage's core takes, look-ups included."""
    audience = Audience.of(SEGMENT, 4)
    plan = Plan("email", (audience,), (), (OutreachUser("ops", 1.0),), match="email")
    mapping = Mapping(plan)
    arrived = list(blocks(plan))
    source = LedgerLookup(str(ledger), "email")
    lookup = source.open()
    with closing(lookup.connection):
        began = time.perf_counter()
        found = sum(
            len(resolve(each, lookup.find(each.keys), mapping).arrived.memberships)
            for each in arrived
        )
        seconds = time.perf_counter() - began
    if found != CHANGES:
        raise RuntimeError(f"{found} of {CHANGES} changes were resolved")
    return CHANGES / seconds


def blocks(plan: Plan) -> Iterator[Arrived]:
    """Parsed changes, by address, in an order that the directory is not in."""
    for start in range(0, CHANGES, BLOCK):
        lines = [
            json.dumps(
                {
                    "email": address(number * 7_919 % PROSPECTS + 1),
                    "segment": SEGMENT,
                    "status": "realized",
                }
            ).encode()
            for number in range(start, start + BLOCK)
        ]
        block = Block("bench", start, lines)
        parsed = parse(block, plan.identity, (), 0, rules=plan.reading)
        yield Arrived(parsed.memberships, parsed.attributes, parsed.keys)
