"""Outcomes in a ledger, and outputs that are to have them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pipeline.engine.outputs import Outputs, begin_outputs
from pipeline.ledger import history
from pipeline.ledger.store import transaction
from tests.support.data.changes import change
from tests.support.in_process.ledgers import NOW
from tests.support.processes.program import json_lines
from transforms.elements import DELIVERED, Outcome


def record(
    ledger: sqlite3.Connection, *prospects: int, outcome: str = DELIVERED, now: int = NOW
) -> None:
    with transaction(ledger):
        for prospect in prospects:
            history.record(ledger, [Outcome(outcome, [change(prospect)], now, user="ops")])


def begun(
    ledger: sqlite3.Connection, folder: Path, *, afresh: bool = False, **more: Any
) -> Outputs:
    named = {
        "receipts": str(folder / "receipts.jsonl"),
        "dead_letters": str(folder / "dead.jsonl"),
        "lasting": True,
    }
    return begin_outputs(ledger=ledger, afresh=afresh, **{**named, **more})


def prospects_in(path: Path) -> list[int]:
    return [one["outreach_id"] for one in json_lines(path)]
