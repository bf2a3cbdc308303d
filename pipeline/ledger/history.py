"""What became of changes: receipts, dead letters, and what each field is known to hold."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from transforms.elements import (
    DELIVERED,
    REJECTED,
    UNCHANGED,
    Change,
    DeadLetter,
    Outcome,
)
from transforms.receipts import dead_letter_line, dead_letters


def settle_sent(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """What became of patches: recorded, known, and no longer waited for; one transaction's part.

    A field is known to hold a value once Outreach accepted it, or was read to hold it.
    """
    for outcome in outcomes:
        if outcome.outcome in (DELIVERED, UNCHANGED):
            _know(connection, outcome.changes, outcome.recorded_at)
        connection.executemany(
            "DELETE FROM waiting WHERE outreach_id = ? AND field = ? AND change_id = ?",
            ((each.outreach_id, each.field, each.change_id) for each in outcome.changes),
        )
        connection.executemany(
            "DELETE FROM queue WHERE outreach_id = ?1"
            " AND NOT EXISTS (SELECT 1 FROM waiting WHERE outreach_id = ?1)",
            {(each.outreach_id,) for each in outcome.changes},
        )
    record(connection, outcomes)


def record(connection: sqlite3.Connection, outcomes: Iterable[Outcome]) -> None:
    """Writes the receipt of each change, and its dead letter, within the caller's transaction."""
    totals: Counter[str] = Counter()
    for outcome in outcomes:
        totals[outcome.outcome] += len(outcome.changes)
        connection.executemany(
            "INSERT INTO receipts (change_id, outreach_id, segment, field, value, event_time,"
            " outcome, reason, detail, http_status, user, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    change.change_id,
                    change.outreach_id,
                    change.segment,
                    change.field,
                    change.value,
                    change.event_time,
                    outcome.outcome,
                    outcome.reason,
                    outcome.detail,
                    outcome.http_status,
                    outcome.user,
                    outcome.recorded_at,
                )
                for change in outcome.changes
            ),
        )
        if outcome.outcome == REJECTED:
            for change in outcome.changes:
                letters = dead_letters(outcome._replace(changes=[change]))
                bury(connection, letters, change.outreach_id)
    add_totals(connection, totals)


def bury(
    connection: sqlite3.Connection, letters: Iterable[DeadLetter], outreach_id: int | None = None
) -> int:
    """Keeps dead letters, within the caller's transaction; returns how many.

    Args:
      connection: to the ledger.
      letters: of one prospect, or of none in particular.
      outreach_id: the prospect, by whom `forget` finds them.
    """
    rows = [
        (outreach_id, each.stage, each.reason, dead_letter_line(each), each.recorded_at)
        for each in letters
    ]
    connection.executemany(
        "INSERT INTO dead_letters (outreach_id, stage, reason, line, recorded_at)"
        " VALUES (?, ?, ?, ?, ?)",
        rows,
    )
    return len(rows)


def add_totals(connection: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Adds to the running totals, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO totals (name, count) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
        [(name, count) for name, count in counts.items() if count],
    )


def totals(connection: sqlite3.Connection) -> Counter[str]:
    """The running totals by name; 0 for what was never counted."""
    return Counter(dict(connection.execute("SELECT name, count FROM totals")))


def last_dead_letter(connection: sqlite3.Connection) -> int:
    """The id of the newest dead letter; 0 where there is none."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM dead_letters").fetchone()
    return int(last)


def reasons(connection: sqlite3.Connection, after: int = 0) -> dict[str, int]:
    """How many dead letters there are by reason, of those with a greater id."""
    return dict(
        connection.execute(
            "SELECT reason, count(*) FROM dead_letters WHERE id > ? GROUP BY reason ORDER BY 1",
            (after,),
        )
    )


def prune(
    connection: sqlite3.Connection, kept_since: int, remembered_since: int, most: int = 10_000
) -> int:
    """Removes what is older, a limited number of rows at a time; returns how many went.

    Receipts and dead letters that an output has not got yet stay until it has.

    Args:
      connection: to the ledger; each call is a transaction of its own.
      kept_since: history older than this goes, in microseconds since the epoch.
      remembered_since: values last heard of before this are forgotten.
      most: rows to remove from each table.
    """
    before = connection.total_changes
    for table, kind in (("receipts", "receipts"), ("dead_letters", "dead_letters")):
        connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE recorded_at < ?1"
            f" AND id <= coalesce((SELECT min(written_to) FROM outputs WHERE kind = ?2),"
            f" 9223372036854775807) LIMIT ?3)",
            (kept_since, kind, most),
        )
    connection.execute(
        "DELETE FROM inbox WHERE place IN (SELECT place FROM inbox"
        " WHERE body IS NULL AND received_at < ? LIMIT ?)",
        (kept_since, most),
    )
    connection.execute(
        "DELETE FROM known WHERE (outreach_id, field) IN (SELECT outreach_id, field FROM known"
        " WHERE heard_at < ? LIMIT ?)",
        (remembered_since, most),
    )
    return connection.total_changes - before


def _know(connection: sqlite3.Connection, changes: Iterable[Change], heard_at: int) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO known (outreach_id, field, value, event_time, sequence, change_id,"
        " segment, origin, heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                change.outreach_id,
                change.field,
                change.value,
                change.event_time,
                change.sequence,
                change.change_id,
                change.segment,
                change.origin,
                heard_at,
            )
            for change in changes
        ),
    )
