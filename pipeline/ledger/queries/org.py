"""How the directory and what is checked against it stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeline.ledger.bulk.batches import LedgerBatch, latest
from pipeline.ledger.directory import drift, entries, pulls, unresolved

BATCHES: Final = 20
"""Bulk actions that are shown."""


class DirectoryStanding(NamedTuple):
    """How the directory stands; times in seconds since the epoch.

    Attributes:
      prospects: that are in it.
      fresh_at: as of when it is complete; None where it never was.
      full_at: when everybody was last read.
      pulling: whether it is being read.
      unresolved: changes that wait for their prospect to be found.
    """

    prospects: int
    fresh_at: float | None
    full_at: float | None
    pulling: bool
    unresolved: int


class LeftField(NamedTuple):
    """A field that an audience was written to, and is not any more.

    Attributes:
      field: such as ``custom17``.
      segment: of the audience.
      name: of the audience.
      prospects: that are known to hold a value there still.
    """

    field: str
    segment: str
    name: str
    prospects: int


class OrgStanding(NamedTuple):
    """What is known of the org besides what waits.

    Attributes:
      directory: None where none is kept.
      left: fields that nobody writes any more and that hold something.
      drift: what the last round of checks found; None before there was one.
      batches: the latest bulk actions, newest first.
    """

    directory: DirectoryStanding | None
    left: Sequence[LeftField]
    drift: Mapping[str, Any] | None
    batches: Sequence[LedgerBatch] = ()


def read_org(connection: sqlite3.Connection) -> OrgStanding:
    """Reads it."""
    state = pulls.state(connection)
    waiting = unresolved.count(connection)
    directory = None
    if state is not None or waiting:
        directory = DirectoryStanding(
            entries.count(connection),
            None if state is None or state.fresh_at is None else state.fresh_at / 1e6,
            None if state is None or state.full_at is None else state.full_at / 1e6,
            state is not None and state.next_page is not None,
            waiting,
        )
    return OrgStanding(
        directory,
        left_fields(connection),
        drift.last_round(connection),
        latest(connection, BATCHES),
    )


def left_fields(connection: sqlite3.Connection) -> list[LeftField]:
    """Fields that nobody writes any more, of those that are known to hold something."""
    found = [
        LeftField(
            field,
            segment,
            name,
            connection.execute(
                "SELECT count(*) FROM known WHERE segment = ? AND field = ? AND value <> 'null'",
                (segment, field),
            ).fetchone()[0],
        )
        for field, segment, name in connection.execute(
            "SELECT field, segment, name FROM leftovers ORDER BY field"
        )
    ]
    return [each for each in found if each.prospects]
