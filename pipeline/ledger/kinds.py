"""Kinds of receipts: what is of one audience, field and outcome has one number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class Kind(NamedTuple):
    """What receipts have in common.

    Attributes:
      segment: the audience's id; empty for a profile attribute.
      field: such as ``custom4``.
      outcome: one of `transforms.elements.OUTCOMES`.
    """

    segment: str
    field: str
    outcome: str


def numbers(connection: sqlite3.Connection, kinds: Iterable[Kind]) -> dict[Kind, int]:
    """The number of each kind, within the caller's transaction; a new kind gets one."""
    wanted = set(kinds)
    connection.executemany(
        "INSERT OR IGNORE INTO kinds (segment, field, outcome) VALUES (?, ?, ?)", wanted
    )
    return {
        kind: connection.execute(
            "SELECT id FROM kinds WHERE segment = ? AND field = ? AND outcome = ?", kind
        ).fetchone()[0]
        for kind in wanted
    }


def matching(
    connection: sqlite3.Connection, segment: str | None = None, outcome: str | None = None
) -> list[int]:
    """The numbers of the kinds of a segment, of an outcome, or of both."""
    return [
        number
        for (number,) in connection.execute(
            "SELECT id FROM kinds WHERE (?1 IS NULL OR segment = ?1)"
            " AND (?2 IS NULL OR outcome = ?2)",
            (segment, outcome),
        )
    ]


def counts(connection: sqlite3.Connection, after: int = 0) -> list[tuple[Kind, int]]:
    """How many receipts there are of each kind.

    Args:
      connection: to a ledger.
      after: the id of a receipt; only those with a greater one count.
    """
    # All of them lie in the index as they are to be counted; some are faster found by their ids.
    through = "NOT INDEXED" if after else "INDEXED BY receipts_kind"
    return [
        (Kind(*kind), count)
        for count, *kind in connection.execute(
            "SELECT count, segment, field, outcome FROM kinds JOIN (SELECT kind, count(*) AS count"
            f" FROM receipts {through} WHERE id > ? GROUP BY kind) ON kind = kinds.id",
            (after,),
        )
    ]
