"""A sandbox as the org, a ledger, and the directory that the one is read into."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.ledger.directory import entries
from pipeline.ledger.store import looked_at
from pipeline.sandbox import Sandbox
from tests.support.processes.program import Ended, run, write_destination

SEGMENTS = {"seg-a": 4, "seg-b": 5}
FIELDS = ("custom4", "custom5")


def address(number: int) -> str:
    return f"person{number}@example.com"


def people(count: int, first: int = 1) -> dict[int, dict[str, object]]:
    """Prospects with an address each."""
    return {number: {"emails": [address(number)]} for number in range(first, first + count)}


def write_org(folder: Path, url: str, *, match: str = "email", **more: Any) -> None:
    """A destination that matches by something else than ids."""
    write_destination(folder, url, SEGMENTS, identity={"match": match}, **more)


def by_mail(changes: Iterable[tuple[object, str, str, str]]) -> list[str]:
    """Flat records: address, segment, status, time."""
    return [
        json.dumps({"email": email, "segment": segment, "status": status, "event_time": time})
        for email, segment, status, time in changes
    ]


def pull(folder: Path, *more: str) -> Ended:
    return run(folder, "pull", "--destination=destination.yaml", "--ledger=ledger.db", *more)


def directory(path: Path) -> dict[int, tuple[list[str], Mapping[str, object]]]:
    """What a ledger's directory holds of each prospect: addresses and fields."""
    with looked_at(str(path)) as ledger:
        return {
            each.outreach_id: (sorted(each.emails), json.loads(each.fields))
            for each in entries.every(ledger)
        }


def org(sandbox: Sandbox) -> dict[int, tuple[list[str], Mapping[str, object]]]:
    """The same of the sandbox."""
    found: dict[int, tuple[list[str], Mapping[str, object]]] = {}
    for prospect, attributes in sandbox.prospects().items():
        emails = attributes.get("emails")
        addresses = sorted(str(each).casefold() for each in emails or ())  # type: ignore[attr-defined]
        found[prospect] = (
            addresses,
            {name: attributes[name] for name in FIELDS if name in attributes},
        )
    return found


def asked(folder: Path, query: str) -> list[Any]:
    """Rows of the ledger in a folder."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        return ledger.execute(query).fetchall()
