"""What each field should hold by the ledger, for comparing with what Outreach holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from pipeline.ledger.store import chunks, marks


class Expected(NamedTuple):
    """What a field of a prospect should hold. Times are microseconds since the epoch.

    Attributes:
      outreach_id: the prospect.
      field: such as ``custom4``.
      value: JSON text.
      segment: the audience's; None for a profile attribute.
      origin: the status, or the attribute's path; empty where it is not known.
      event_time: of the change that says so; None if it had none.
      sequence: its place in the order of publication.
      delivered: whether it was accepted; else it was refused or deferred.
    """

    outreach_id: int
    field: str
    value: str
    segment: str | None
    origin: str
    event_time: int | None
    sequence: int
    delivered: bool


def prospects_after(connection: sqlite3.Connection, last: int, most: int) -> list[int]:
    """Prospects of whom the ledger knows what they should hold, in the order of ids."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT outreach_id FROM (SELECT DISTINCT outreach_id FROM known WHERE outreach_id > ?1"
            " UNION SELECT DISTINCT outreach_id FROM receipts WHERE outreach_id > ?1"
            " AND outcome IN ('rejected', 'deferred')) ORDER BY 1 LIMIT ?2",
            (last, most),
        )
    ]


def count(connection: sqlite3.Connection) -> int:
    """How many prospects the ledger knows values of."""
    row = connection.execute("SELECT count(DISTINCT outreach_id) FROM known").fetchone()
    return int(row[0])


def expected(
    connection: sqlite3.Connection, prospects: Sequence[int], fields: Sequence[str]
) -> list[Expected]:
    """What fields of prospects should hold.

    Where a change of a field waits to be sent, nothing is expected of that: it is on its way. The
    last change of a field that was refused for good, or deferred, is what it should hold and does
    not.

    Args:
      connection: to the ledger.
      prospects: of interest.
      fields: that the destination writes.
    """
    found: dict[tuple[int, str], Expected] = {}
    for some in chunks(prospects):
        ids = marks(some)
        for row in connection.execute(
            "SELECT outreach_id, field, value, segment, origin, event_time, sequence, 1 FROM known"
            f" WHERE outreach_id IN ({ids}) AND NOT EXISTS (SELECT 1 FROM waiting AS w"
            " WHERE w.outreach_id = known.outreach_id AND w.field = known.field)",
            some,
        ):
            each = Expected(*row)._replace(delivered=True)
            found[each.outreach_id, each.field] = each
        for prospect, field, value, segment, time, outcome in connection.execute(
            # SQLite takes the bare columns from the row that has the maximum.
            "SELECT outreach_id, field, value, segment, event_time, outcome FROM (SELECT *, max(id)"
            f" FROM receipts WHERE outreach_id IN ({ids}) AND outcome <> 'superseded'"
            " AND coalesce(reason, '') <> 'value_invalid' GROUP BY outreach_id, field)"
            " AS r WHERE outcome IN ('rejected', 'deferred') AND NOT EXISTS (SELECT 1"
            " FROM waiting AS w WHERE w.outreach_id = r.outreach_id AND w.field = r.field)",
            some,
        ):
            del outcome
            before = found.get((prospect, field))
            found[prospect, field] = Expected(
                prospect,
                field,
                value,
                segment,
                "",
                time,
                0 if before is None else before.sequence,
                delivered=False,
            )
    return [each for each in found.values() if each.field in fields]


def progress(connection: sqlite3.Connection) -> tuple[int, int, dict[str, object]] | None:
    """How far the checking has come: the last prospect, when it began, what was found."""
    row = connection.execute("SELECT next_id, began_at, found FROM checks").fetchone()
    return None if row is None else (row[0], row[1], orjson.loads(row[2]))


def last_round(connection: sqlite3.Connection) -> dict[str, object] | None:
    """What the last whole round of checks found; None before there was one."""
    row = connection.execute("SELECT last FROM checks WHERE last NOT NULL").fetchone()
    return None if row is None else dict(orjson.loads(row[0]))


def ask_now(connection: sqlite3.Connection) -> None:
    """Has a round of checks begin now and go on without pauses, within the caller's transaction."""
    note(connection, 0, 0, {})


def note(
    connection: sqlite3.Connection,
    next_id: int,
    began_at: int,
    found: object,
    last: object | None = None,
) -> None:
    """Notes how far the checking has come, within the caller's transaction.

    Args:
      connection: to the ledger.
      next_id: prospects after this one come next.
      began_at: when the round began, in microseconds since the epoch.
      found: so far.
      last: what the whole round found, at its end.
    """
    connection.execute(
        "INSERT INTO checks (id, next_id, began_at, found, last) VALUES (1, ?1, ?2, ?3, ?4)"
        " ON CONFLICT (id) DO UPDATE SET next_id = ?1, began_at = ?2, found = ?3,"
        " last = coalesce(?4, last)",
        (
            next_id,
            began_at,
            orjson.dumps(found).decode(),
            None if last is None else orjson.dumps(last).decode(),
        ),
    )
