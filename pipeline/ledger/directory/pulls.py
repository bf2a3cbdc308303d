"""How far the directory has been read, so that a pull goes on where it was stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from pipeline.ledger.directory.entries import remove
from transforms.directory import DIGEST_LENGTH, digest_of

OVERLAP = 5 * 60 * 1_000_000
"""Microseconds that two pulls have in common: `updatedAt` is to the second, and what is written
may be seen a little later than it says."""


class PullState(NamedTuple):
    """Where the directory stands; times in microseconds since the epoch, None for never.

    Attributes:
      fields: the mapped fields that are read.
      hashed: whether addresses are digests.
      next_page: path of the next page of a pull under way; None where none is.
      is_full: whether that reads everybody.
      began_at: when it began.
      began_there: the same by Outreach's clock.
      full_at: when the last pull of everybody began that came to its end.
      fresh_at: as of when the directory holds what Outreach does.
      since: by Outreach's clock, from when on the next pull asks.
      requests: of the pull under way, or of the last.
    """

    fields: Sequence[str]
    hashed: bool
    next_page: str | None
    is_full: bool
    began_at: int | None
    began_there: int | None
    full_at: int | None
    fresh_at: int | None
    since: int | None
    requests: int


def state(connection: sqlite3.Connection) -> PullState | None:
    """Where the directory stands; None where it was never read."""
    row = connection.execute(
        "SELECT fields, hashed, next_page, is_full, began_at, began_there, full_at, fresh_at,"
        " since, requests FROM pulls"
    ).fetchone()
    if row is None:
        return None
    fields, hashed, next_page, is_full, *rest = row
    return PullState(orjson.loads(fields), bool(hashed), next_page, bool(is_full), *rest)


def begin(
    connection: sqlite3.Connection,
    fields: Sequence[str],
    first_page: str,
    now: int,
    *,
    is_full: bool,
    hashed: bool,
) -> None:
    """Notes that a pull begins, within the caller's transaction.

    Args:
      connection: to the ledger.
      fields: the mapped fields that it reads.
      first_page: path of its first page.
      now: microseconds since the epoch.
      is_full: whether it reads everybody.
      hashed: whether addresses are kept as digests.
    """
    connection.execute(
        "INSERT INTO pulls (id, fields, hashed, next_page, is_full, began_at)"
        " VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET fields = ?1, hashed = ?2,"
        " next_page = ?3, is_full = ?4, began_at = ?5, began_there = NULL, requests = 0",
        (orjson.dumps(list(fields)).decode(), hashed, first_page, is_full, now),
    )


def advance(connection: sqlite3.Connection, next_page: str | None, there: int) -> None:
    """Notes that a page is in, within the transaction that puts it in.

    After the last one the pull is over: whoever a pull of everybody did not see is gone.

    Args:
      connection: to the ledger.
      next_page: path of the next page; None after the last.
      there: Outreach's clock at the answer, in microseconds since the epoch.
    """
    connection.execute(
        "UPDATE pulls SET next_page = ?1, requests = requests + 1,"
        " began_there = coalesce(began_there, ?2)",
        (next_page, there),
    )
    if next_page is not None:
        return
    found = state(connection)
    if found is not None and found.is_full and found.began_at is not None:
        unseen = connection.execute(
            "SELECT outreach_id FROM directory WHERE read_at < ?", (found.began_at,)
        ).fetchall()
        remove(connection, (outreach_id for (outreach_id,) in unseen))
    connection.execute(
        "UPDATE pulls SET fresh_at = began_at, since = began_there,"
        " full_at = CASE WHEN is_full THEN began_at ELSE full_at END"
    )


def adopt(
    connection: sqlite3.Connection, fields: Sequence[str], as_of: int, *, hashed: bool
) -> None:
    """Notes that the directory came from elsewhere, within the caller's transaction.

    The next pull reads everybody.

    Args:
      connection: to the ledger.
      fields: those that were read.
      as_of: when, in microseconds since the epoch.
      hashed: whether addresses are digests.
    """
    connection.execute(
        "INSERT OR REPLACE INTO pulls (id, fields, hashed, is_full, fresh_at)"
        " VALUES (1, ?, ?, 1, ?)",
        (orjson.dumps(list(fields)).decode(), hashed, as_of),
    )


def give_up(connection: sqlite3.Connection) -> None:
    """Forgets the pull under way, within the caller's transaction: its next page is refused."""
    connection.execute("UPDATE pulls SET next_page = NULL")


def hash_addresses(connection: sqlite3.Connection) -> int:
    """Puts digests in place of all addresses, in the caller's transaction; how many there were."""
    plain = connection.execute(
        "SELECT address, outreach_id FROM addresses"
        " WHERE length(address) <> ? OR address GLOB '*[^0-9a-f]*'",
        (DIGEST_LENGTH,),
    ).fetchall()
    for start in range(0, len(plain), 10_000):
        some = plain[start : start + 10_000]
        connection.executemany("DELETE FROM addresses WHERE address = ? AND outreach_id = ?", some)
        connection.executemany(
            "INSERT OR IGNORE INTO addresses (address, outreach_id) VALUES (?, ?)",
            ((digest_of(address), outreach_id) for address, outreach_id in some),
        )
    connection.execute("UPDATE pulls SET hashed = 1")
    return len(plain)
