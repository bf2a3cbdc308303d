"""Fields of prospects that are in a batch: nothing else may write them meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.ledger.store import chunks, marks
from pipeline.ledger.waiting import change_of, columns_of
from transforms.elements import Change

NOT_BATCHED = (
    " AND NOT EXISTS (SELECT 1 FROM batch_members AS m"
    " WHERE m.outreach_id = w.outreach_id AND m.field = w.field)"
)
"""Of a query over ``waiting AS w``: the field is in no batch."""


def is_any(connection: sqlite3.Connection) -> bool:
    """Whether any field is in a batch."""
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM batch_members)").fetchone()[0])


def keep_only(connection: sqlite3.Connection, number: int, ids: Sequence[int]) -> None:
    """Leaves a batch some of its members, within the caller's transaction."""
    last = max(ids)
    connection.execute(
        "DELETE FROM batch_members WHERE number = ? AND outreach_id > ?", (number, last)
    )
    connection.execute("UPDATE batches SET prospects = ? WHERE number = ?", (len(ids), number))


def members(connection: sqlite3.Connection, number: int) -> list[int]:
    """The prospects of a batch, in the order of ids."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT outreach_id FROM batch_members WHERE number = ? ORDER BY outreach_id",
            (number,),
        )
    ]


def readable(connection: sqlite3.Connection, user: str) -> list[int]:
    """Prospects of batches that have ended, and of none that is on its way."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT m.outreach_id FROM batches AS b JOIN batch_members AS m"
            " ON m.number = b.number WHERE b.user = ? AND b.state = 'ended' AND NOT EXISTS"
            " (SELECT 1 FROM batch_members AS o JOIN batches AS c ON c.number = o.number"
            " WHERE o.outreach_id = m.outreach_id AND c.state IN ('created', 'confirmed'))"
            " ORDER BY 1",
            (user,),
        )
    ]


class Member(NamedTuple):
    """A field of a prospect that is in a batch, and the change that is to set it.

    Attributes:
      number: of the batch.
      change: None where a newer one has taken its place meanwhile.
      outreach_id: the prospect.
      field: such as ``custom4``.
      value: JSON text, as the batch sets it.
    """

    number: int
    change: Change | None
    outreach_id: int
    field: str
    value: str


def members_of(
    connection: sqlite3.Connection, prospects: Sequence[int], states: Sequence[str]
) -> list[Member]:
    """The fields of prospects that are in batches of these states."""
    found: list[Member] = []
    width = len(Change._fields)
    for some in chunks(prospects):
        for row in connection.execute(
            f"SELECT {columns_of('w')}, b.number, m.outreach_id, m.field, b.value"
            " FROM batch_members AS m JOIN batches AS b ON b.number = m.number"
            " LEFT JOIN waiting AS w ON w.outreach_id = m.outreach_id AND w.field = m.field"
            " AND w.change_id = m.change_id"
            f" WHERE m.outreach_id IN ({marks(some)}) AND b.state IN ({marks(states)})",
            (*some, *states),
        ):
            change = None if row[0] is None else change_of(row[:width])
            found.append(Member(row[width], change, *row[width + 1 :]))
    return found


def leave(
    connection: sqlite3.Connection, some: Iterable[Member], kept: Iterable[Member], gone: int
) -> None:
    """Takes members out of their batches, within the caller's transaction.

    Args:
      connection: to the ledger.
      some: all of them.
      kept: those whose field holds the value.
      gone: how many prospects were not there any more; of the first one's batch.
    """
    left = list(some)
    connection.executemany(
        "DELETE FROM batch_members WHERE outreach_id = ? AND field = ?",
        ((each.outreach_id, each.field) for each in left),
    )
    connection.executemany(
        "UPDATE batches SET kept = kept + 1 WHERE number = ?", ((each.number,) for each in kept)
    )
    if gone and left:
        connection.execute(
            "UPDATE batches SET gone = gone + ? WHERE number = ?", (gone, left[0].number)
        )
