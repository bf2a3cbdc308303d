"""Lines, and what is read of them or of the dead letters made from them."""

from __future__ import annotations

from typing import Any

from transforms.elements import Block, DeadLetter
from transforms.receipts import dead_letter_line
from transforms.stages.parse import Parsed, parse

FLAT = b'{"outreach_id": 1, "segment": "s", "status": "realized"}'
OTHER = b'{"outreach_id": 2, "segment": "s", "status": "exited"}'
HEAD = "outreach_id,segment\n"
SOURCES = ("firstName", "person.name.firstName")


def read(*lines: bytes, **block: Any) -> Parsed:
    return parse(Block("changes.jsonl", 100, lines, **block), "Oid", SOURCES, 7)


def replayed(letters: list[DeadLetter]) -> Parsed:
    """What the letters say when the file they are written to is read."""
    return read(*(dead_letter_line(letter) for letter in letters))


def arrival_ids(parsed: Parsed) -> list[str]:
    return [change.arrival_id for change in parsed.memberships]
