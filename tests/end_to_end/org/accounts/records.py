"""Records that name accounts by domain or name, delivered to a sandbox that has three."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.sandbox import Sandbox
from tests.support.processes.org import SEGMENTS
from tests.support.processes.program import (
    Ended,
    replay,
    write_destination,
    write_lines,
)

LEDGER = ("--ledger=ledger.db",)
PULL = ("pull", "--destination=destination.yaml", *LEDGER)
THERE: dict[int, dict[str, object]] = {
    1: {"name": "Acme", "domain": "acme.com"},
    2: {"name": "Globex", "domain": "https://www.Globex.com/"},
    3: {"name": "Initech, Inc."},
}


def write(folder: Path, url: str, **more: Any) -> None:
    write_destination(folder, url, SEGMENTS, object="account", **more)


def record(segment: str = "seg-a", status: str = "realized", **about: object) -> str:
    return json.dumps({**about, "segment": segment, "status": status})


def deliver(folder: Path, *lines: str, more: tuple[str, ...] = LEDGER) -> Ended:
    write_lines(folder / "in.jsonl", list(lines))
    return replay(folder, "in.jsonl", more=more)


def replay_letters(folder: Path) -> Ended:
    (folder / "dead_letters.jsonl").rename(folder / "letters.jsonl")
    return replay(folder, "letters.jsonl", more=LEDGER)


def posted(sandbox: Sandbox) -> list[dict[str, object]]:
    return [
        json.loads(each.body)["data"]["attributes"]
        for each in sandbox.requests()
        if each.method == "POST"
    ]
