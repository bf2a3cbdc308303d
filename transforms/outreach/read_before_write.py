"""Reading before writing: one request for many prospects, to spare those that need none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from transforms.elements import Change
from transforms.outreach.responses import Classification, Fate
from transforms.relations import Accounts, held_by

READ_LEAST = 100
"""Prospects from which on one request to read them is cheap: one in a hundred."""
VAIN_MOST = 2
"""Readings in a row that spared nothing, after which most chunks are not read."""
SELDOM = 10
"""Of chunks not worth reading, each so manieth is read all the same: things change."""


class ReadBeforeWrite:
    """Decides whether reading pays: it costs one request and spares one a prospect that holds.

    A token may write and not read (`prospects.write` does not imply `prospects.read`), and a
    server may not answer lists: then nothing is read again, and everything is written.
    """

    def __init__(self) -> None:
        self._refused = False
        self._vain = 0
        self._skipped = 0

    def is_worth_it(self, unread: int) -> bool:
        """Whether to read so many prospects that one request can ask for."""
        if self._refused or unread < READ_LEAST:
            return False
        if self._vain < VAIN_MOST:
            return True
        self._skipped = (self._skipped + 1) % SELDOM
        return self._skipped == 0

    def learn(self, verdict: Classification, spared: int) -> None:
        """The result of a read: its answer, and how many requests it saved."""
        if verdict.fate in (Fate.ACCEPTED, Fate.TROUBLE):
            self._vain = 0 if spared else self._vain + 1
        elif verdict.fate in (Fate.REFUSED, Fate.FIELD_REFUSED, Fate.PAUSE):
            self._refused = True


def read_values(body: bytes, accounts: Accounts | None = None) -> dict[int, Mapping[str, object]]:
    """What each prospect in a list answer holds, see `held_by`; empty where it is not one."""
    try:
        found = orjson.loads(body)["data"]
        return {int(prospect["id"]): held_by(prospect, accounts or {}) for prospect in found}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def split_unchanged(
    changes: Sequence[Change], values: Mapping[str, object]
) -> tuple[list[Change], list[Change]]:
    """Changes still due, and those whose field was read to hold the value."""
    due: list[Change] = []
    unchanged: list[Change] = []
    for change in changes:
        held = change.field in values and _same(values[change.field], orjson.loads(change.value))
        (unchanged if held else due).append(change)
    return due, unchanged


def _same(held: object, wanted: object) -> bool:
    # As JSON tells them apart: to Python, true equals 1.
    sort = orjson.OPT_SORT_KEYS
    return held == wanted and orjson.dumps(held, option=sort) == orjson.dumps(wanted, option=sort)
