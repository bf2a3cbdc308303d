"""The directory's entries: prospects by id, by address, by external id; accounts by their keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import orjson

from pipeline.ledger.store import chunks, marks
from transforms.directory import DirectoryEntry, digest_of
from transforms.elements import Outcome, is_held
from transforms.matching import natural_keys
from transforms.relations import ACCOUNT_DOMAIN

_AT_ONCE = 10_000
_LANDS_WITHIN = 120 * 1_000_000
"""Microseconds within which a request that was sent is carried out, or never."""


def store(
    connection: sqlite3.Connection,
    entries: Sequence[DirectoryEntry],
    read_at: int,
    *,
    hashed: bool = False,
) -> int:
    """Puts entries into the directory, within the caller's transaction; returns how many changed.

    Args:
      connection: to the ledger.
      entries: as Outreach answered them.
      read_at: when it was asked, in microseconds since the epoch.
      hashed: whether addresses are kept as digests.
    """
    if hashed:
        entries = [
            each._replace(emails=[digest_of(address) for address in each.emails])
            for each in entries
        ]
    before = {
        each.outreach_id: each for each in by_id(connection, [e.outreach_id for e in entries])
    }
    changed = [
        each
        for each in entries
        if (known := before.get(each.outreach_id)) is None
        or each._replace(emails=sorted(each.emails)) != known
    ]
    connection.executemany(
        "INSERT INTO directory (outreach_id, external_id, updated_at, read_at, fields)"
        " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (outreach_id) DO UPDATE SET external_id = ?2,"
        " updated_at = ?3, read_at = ?4, fields = ?5",
        (
            (each.outreach_id, each.external_id, each.updated_at, read_at, each.fields)
            for each in entries
        ),
    )
    moved = [
        each
        for each in changed
        if sorted(each.emails) != (known.emails if (known := before.get(each.outreach_id)) else [])
    ]
    connection.executemany(
        "DELETE FROM addresses WHERE outreach_id = ?",
        ((each.outreach_id,) for each in moved if each.outreach_id in before),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO addresses (address, outreach_id) VALUES (?, ?)",
        ((address, each.outreach_id) for each in moved for address in each.emails),
    )
    return len(changed)


def remove(connection: sqlite3.Connection, prospects: Iterable[int]) -> None:
    """Takes prospects out of the directory, within the caller's transaction."""
    gone = [(outreach_id,) for outreach_id in prospects]
    connection.executemany("DELETE FROM addresses WHERE outreach_id = ?", gone)
    connection.executemany("DELETE FROM directory WHERE outreach_id = ?", gone)


def doubt(connection: sqlite3.Connection, prospects: Iterable[int], now: int) -> None:
    """Notes that prospects may be written from now on, within the caller's transaction.

    Until it is known what came of it, what the directory says of their fields is not believed.
    """
    if is_kept(connection):
        connection.executemany(
            "UPDATE directory SET doubted_at = ?2 WHERE outreach_id = ?1",
            ((prospect, now) for prospect in prospects),
        )


def correct(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """Notes what fields hold by the answers to our own writes, within the caller's transaction.

    Whoever has nothing more on its way is not doubted any more.
    """
    if not is_kept(connection):
        return
    held = [
        (change.outreach_id, f'{{"{change.field}":{change.value}}}')
        for outcome in outcomes
        if is_held(outcome)
        for change in outcome.changes
        if change.field != ACCOUNT_DOMAIN
    ]
    connection.executemany(
        "UPDATE directory SET fields = json_patch(fields, ?2) WHERE outreach_id = ?1", held
    )
    connection.executemany(
        "UPDATE directory SET doubted_at = NULL WHERE outreach_id = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM waiting WHERE waiting.outreach_id = ?1)",
        {(change.outreach_id,) for outcome in outcomes for change in outcome.changes},
    )


def is_kept(connection: sqlite3.Connection) -> bool:
    """Whether there is a directory."""
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM pulls)").fetchone()[0])


def lacks_keys(connection: sqlite3.Connection) -> bool:
    """Whether there are entries, and none has an address or another key."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM directory) AND NOT EXISTS (SELECT 1 FROM addresses)"
    ).fetchone()
    return bool(row[0])


def drop_addresses(
    connection: sqlite3.Connection, stale: Iterable[tuple[str, int]], *, hashed: bool = False
) -> None:
    """Takes addresses from prospects that have them no more, within the caller's transaction.

    Args:
      connection: to the ledger.
      stale: address and prospect.
      hashed: whether addresses are kept as digests.
    """
    connection.executemany(
        "DELETE FROM addresses WHERE address = ? AND outreach_id = ?",
        ((digest_of(key) if hashed else key, prospect) for key, prospect in stale),
    )


def count(connection: sqlite3.Connection) -> int:
    """How many prospects are in the directory."""
    (found,) = connection.execute("SELECT count(*) FROM directory").fetchone()
    return int(found)


def by_id(connection: sqlite3.Connection, prospects: Sequence[int]) -> Iterator[DirectoryEntry]:
    """The entries of prospects; those that are not in it are passed over. Addresses are sorted."""
    for some in chunks(prospects):
        addresses: dict[int, list[str]] = {}
        for outreach_id, address in connection.execute(
            f"SELECT outreach_id, address FROM addresses WHERE outreach_id IN ({marks(some)})"
            " ORDER BY address",
            some,
        ):
            addresses.setdefault(outreach_id, []).append(address)
        for outreach_id, external_id, updated_at, fields in connection.execute(
            "SELECT outreach_id, external_id, updated_at, fields FROM directory"
            f" WHERE outreach_id IN ({marks(some)})",
            some,
        ):
            emails = addresses.get(outreach_id, [])
            yield DirectoryEntry(outreach_id, emails, external_id, updated_at, fields)


def every(connection: sqlite3.Connection) -> Iterator[DirectoryEntry]:
    """All entries, in the order of ids."""
    last = 0
    while True:
        ids = [
            row[0]
            for row in connection.execute(
                "SELECT outreach_id FROM directory WHERE outreach_id > ? ORDER BY 1 LIMIT ?",
                (last, _AT_ONCE),
            )
        ]
        if not ids:
            return
        yield from sorted(by_id(connection, ids))
        last = ids[-1]


def find(
    connection: sqlite3.Connection, match: str, keys: Sequence[str], *, hashed: bool = False
) -> dict[str, list[int]]:
    """The OutreachIds of each key that any prospect has.

    Args:
      connection: to the ledger.
      match: by what they are known, other than their ids.
      keys: as `transforms.matching` has them, or external ids.
      hashed: whether addresses are kept as digests.
    """
    by_address = bool(natural_keys(match))
    kept = {digest_of(key): key for key in keys} if by_address and hashed else None
    asked = list(keys) if kept is None else list(kept)
    table, column = ("addresses", "address") if by_address else ("directory", "external_id")
    found: dict[str, list[int]] = {}
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        for key, outreach_id in connection.execute(
            f"SELECT {column}, outreach_id FROM {table} WHERE {column} IN ({marks(some)})"
            " ORDER BY outreach_id",
            some,
        ):
            found.setdefault(key if kept is None else kept[key], []).append(outreach_id)
    return found


def believed(
    connection: sqlite3.Connection, prospects: Sequence[int], since: int
) -> dict[int, tuple[dict[str, object], int]]:
    """What prospects hold by the directory, as of when; those of whom it is too old are absent.

    Whoever was not updated is as fresh as the last pull that came to its end. Of each, the fields
    that were read are there, with null where they hold nothing.
    """
    row = connection.execute("SELECT fields, coalesce(fresh_at, 0) FROM pulls").fetchone()
    if row is None:
        return {}
    nothing, fresh_at = dict.fromkeys(orjson.loads(row[0])), row[1]
    found: dict[int, tuple[dict[str, object], int]] = {}
    for some in chunks(prospects):
        for outreach_id, fields, read_at, doubted_at in connection.execute(
            "SELECT outreach_id, fields, read_at, coalesce(doubted_at, 0) FROM directory"
            f" WHERE outreach_id IN ({marks(some)})",
            some,
        ):
            as_of = max(read_at, fresh_at)
            if as_of >= since and (not doubted_at or as_of > doubted_at + _LANDS_WITHIN):
                found[outreach_id] = ({**nothing, **orjson.loads(fields)}, as_of)
    return found
