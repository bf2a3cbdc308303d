"""What became of changes: receipts, dead letters, and what each field is known to hold."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from pipeline.ledger.directory import exclusions
from pipeline.ledger.kinds import Kind, numbers
from pipeline.ledger.spends import MINUTE
from transforms.elements import (
    REJECTED,
    Change,
    DeadLetter,
    Outcome,
    Patch,
    is_held,
)
from transforms.receipts import dead_letter_line, dead_letters

_LAST = 2**63 - 1


def doubt(connection: sqlite3.Connection, patches: Iterable[Patch]) -> None:
    """Notes that fields may be overwritten from now on, within the caller's transaction.

    To be on the disk before the first of these patches is sent. A request whose answer nobody
    heard, as this process died or the line did, may have been carried out: until its field is
    known again, a change to the value from before must be sent.
    """
    connection.executemany(
        "UPDATE known SET doubted = 1 WHERE outreach_id = ? AND field = ? AND NOT doubted",
        ((each.outreach_id, each.field) for patch in patches for each in patch.changes),
    )


def doubt_fields(connection: sqlite3.Connection, prospects: Iterable[int], field: str) -> None:
    """As `doubt`, of one field of many prospects."""
    connection.executemany(
        "UPDATE known SET doubted = 1 WHERE outreach_id = ? AND field = ? AND NOT doubted",
        ((prospect, field) for prospect in prospects),
    )


def settle_sent(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """Records outcomes and known values and removes what waited, in the caller's transaction.

    A field is known to hold a value once Outreach accepted it, or was read to hold it. What does
    not wait any more was forgotten while it was under way: it was counted as that, and nothing is
    to be kept of it.
    """
    arrived: dict[str, int] = {}
    outcomes = [
        outcome._replace(changes=list(_waited(connection, outcome.changes, arrived)))
        for outcome in outcomes
    ]
    _know(connection, [each for each in outcomes if is_held(each)])
    prospects = {(change.outreach_id,) for outcome in outcomes for change in outcome.changes}
    connection.executemany(
        "DELETE FROM queue WHERE outreach_id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM waiting WHERE outreach_id = ?1)",
        prospects,
    )
    # Whoever is left has more to come, and the trouble of before is over.
    connection.executemany(
        "UPDATE queue SET attempts = 0, troubled_since = NULL WHERE outreach_id = ? AND attempts",
        prospects,
    )
    record(connection, outcomes, arrived)


def record(
    connection: sqlite3.Connection,
    outcomes: Sequence[Outcome],
    arrived: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Writes the receipt of each change, and its dead letter, within the caller's transaction.

    Args:
      connection: to the ledger.
      outcomes: of changes.
      arrived: when changes arrived, by their ids, in microseconds since the epoch; of what was
        sent, so that its freshness can be told.
    """
    number = numbers(
        connection,
        (_kind(change, outcome) for outcome in outcomes for change in outcome.changes),
    )
    connection.executemany(
        "INSERT INTO receipts (change_id, outreach_id, segment, field, value, event_time,"
        " outcome, reason, detail, http_status, user, recorded_at, arrived_at, kind)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                arrived.get(change.change_id),
                number[_kind(change, outcome)],
            )
            for outcome in outcomes
            for change in outcome.changes
        ),
    )
    totals: Counter[str] = Counter()
    for outcome in outcomes:
        totals[outcome.outcome] += len(outcome.changes)
        if outcome.outcome == REJECTED:
            for change in outcome.changes:
                letters = dead_letters(outcome._replace(changes=[change]))
                bury(connection, letters, change.outreach_id)
    add_totals(connection, totals)


def _kind(change: Change, outcome: Outcome) -> Kind:
    return Kind(change.segment or "", change.field, outcome.outcome)


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
    connection: sqlite3.Connection,
    kept_since: int,
    remembered_since: int,
    targets: Sequence[str] = (),
    most: int = 10_000,
) -> int:
    """Removes what is older, a limited number of rows at a time; returns how many went.

    Args:
      connection: to the ledger; each table is a transaction of its own.
      kept_since: history older than this goes, in microseconds since the epoch.
      remembered_since: values last heard of before this are forgotten.
      targets: of outputs: receipts and dead letters that one of these has not got yet stay.
      most: rows to remove from each table.
    """
    before = connection.total_changes
    for table in ("receipts", "dead_letters"):
        (written,) = connection.execute(
            "SELECT min(written_to) FROM outputs WHERE kind = ?"
            f" AND target IN ({','.join('?' * len(targets))})",
            (table, *targets),
        ).fetchone()
        connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table}"
            " WHERE recorded_at < ? AND id <= ? LIMIT ?)",
            (kept_since, _LAST if written is None else written, most),
        )
    # From the oldest on, up to the first that is to stay: the rest need not be looked at.
    connection.execute(
        "DELETE FROM inbox WHERE place IN (SELECT place FROM inbox WHERE body IS NULL"
        " AND place < coalesce((SELECT place FROM inbox WHERE received_at >= ?1"
        " AND body IS NULL ORDER BY place LIMIT 1), ?2) ORDER BY place LIMIT ?3)",
        (kept_since, _LAST, most),
    )
    connection.execute(
        "DELETE FROM known WHERE (outreach_id, field) IN (SELECT outreach_id, field FROM known"
        " WHERE heard_at < ? LIMIT ?)",
        (remembered_since, most),
    )
    connection.execute("DELETE FROM replays WHERE position < ?", (kept_since,))
    connection.execute(
        "DELETE FROM spends WHERE (user, minute, began) IN (SELECT user, minute, began FROM spends"
        " WHERE minute < ? LIMIT ?)",
        (kept_since // MINUTE, most),
    )
    exclusions.prune(connection, kept_since, most)
    return connection.total_changes - before


def no_longer(connection: sqlite3.Connection, change: Change) -> int | None:
    """Has a change wait no longer, within the caller's transaction.

    Returns:
      When it arrived, in microseconds since the epoch; None if it did not wait.
    """
    gone = connection.execute(
        "DELETE FROM waiting WHERE outreach_id = ? AND field = ? AND change_id = ?"
        " RETURNING received_at",
        (change.outreach_id, change.field, change.change_id),
    ).fetchall()
    return gone[0][0] if gone else None


def _waited(
    connection: sqlite3.Connection, changes: Iterable[Change], arrived: dict[str, int]
) -> Iterator[Change]:
    """Those that waited and do so no longer; notes when each arrived."""
    for change in changes:
        at = no_longer(connection, change)
        if at is not None:
            arrived[change.change_id] = at
            yield change


def _know(connection: sqlite3.Connection, outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        know(connection, outcome.changes, outcome.recorded_at)


def know(connection: sqlite3.Connection, changes: Iterable[Change], now: int) -> None:
    """Remembers that fields hold what these changes say, within a transaction of the caller's."""
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
                now,
            )
            for change in changes
        ),
    )
