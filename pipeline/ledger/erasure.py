"""Forgetting: a prospect removed from every table, and its bytes from the file."""

from __future__ import annotations

import re
import sqlite3
import time
from base64 import b64decode
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from pipeline.ledger.inbox import unread
from pipeline.ledger.refresh import forget_member
from pipeline.ledger.store import transaction

TABLES: Final = {
    "waiting": "changes that waited",
    "queue": "places in the queue",
    "known": "values known to be held",
    "receipts": "receipts",
    "dead_letters": "dead letters",
    "exits": "notes of leaving an audience",
    "directory": "what the directory holds of it",
    "addresses": "addresses and ids that it is found by",
    "batch_members": "places in a batch",
}
"""Where a prospect is found, and what to call it."""
_SCRUBS: Final = 50
_SCRUB_SECONDS: Final = 0.1
_KEYS: Final = ("outreach_id", "id")


def forget(connection: sqlite3.Connection, outreach_id: int, *, again: bool) -> dict[str, int]:
    """Removes a prospect from every table, within the caller's transaction.

    Args:
      connection: to the ledger.
      outreach_id: the prospect.
      again: whether it is to be removed once more when what is under way now, or was not taken
        in yet, has passed.

    Returns:
      Rows removed, by table; without those of which there were none.
    """
    known_by = _known_by(connection, outreach_id)
    removed = {
        table: connection.execute(
            f"DELETE FROM {table} WHERE outreach_id = ?", (outreach_id,)
        ).rowcount
        for table in TABLES
    }
    removed["dead_letters"] += _forget_unreadable(connection, outreach_id, known_by)
    _forget_keys(connection, outreach_id, known_by)
    forget_member(connection, outreach_id)
    # Changes that waited have no receipt, and are to be missed by nobody who counts.
    connection.execute(
        "INSERT INTO totals (name, count) VALUES ('forgotten', ?1)"
        " ON CONFLICT (name) DO UPDATE SET count = count + ?1",
        (removed["waiting"],),
    )
    if again:
        connection.execute(
            "INSERT OR REPLACE INTO forgotten (outreach_id, place)"
            " SELECT ?, coalesce(max(place), 0) FROM inbox",
            (outreach_id,),
        )
    return {table: count for table, count in removed.items() if count}


def forget_again(connection: sqlite3.Connection) -> None:
    """Forgets those who may have come back, once nothing older than the request is to come.

    To be called by whoever works on the ledger, while no prospect is under way.
    """
    due = connection.execute(
        "SELECT outreach_id FROM forgotten WHERE NOT EXISTS"
        " (SELECT 1 FROM inbox WHERE body IS NOT NULL AND place <= forgotten.place)"
    ).fetchall()
    if not due:
        return
    with transaction(connection, durable=True):
        for (outreach_id,) in due:
            forget(connection, outreach_id, again=False)
            connection.execute("DELETE FROM forgotten WHERE outreach_id = ?", (outreach_id,))
    scrub(connection)


def is_pending(connection: sqlite3.Connection, outreach_id: int) -> bool:
    """Whether a prospect is to be forgotten again."""
    row = connection.execute("SELECT 1 FROM forgotten WHERE outreach_id = ?", (outreach_id,))
    return row.fetchone() is not None


def scrub(connection: sqlite3.Connection) -> bool:
    """Empties the write-ahead log, which holds pages as they were; returns whether it did.

    What was deleted in the file itself is overwritten (`store.connect` asks for that).
    """
    for _ in range(_SCRUBS):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
        time.sleep(_SCRUB_SECONDS)
    return False


def messages_to_come(connection: sqlite3.Connection) -> int:
    """Messages that were not taken in, in which anybody may be."""
    count, _ = unread(connection)
    return count


def names(letter: Mapping[str, Any], outreach_id: int, known_by: Collection[str] = ()) -> bool:
    """Whether what arrived names a prospect: under a key for ids, or, unreadable, anywhere.

    Args:
      letter: a dead letter.
      outreach_id: the prospect.
      known_by: its addresses and external id, which are looked for anywhere.
    """
    payload = letter["payload"]
    text = orjson.dumps(payload).decode().casefold() if known_by else ""
    if any(key.casefold() in text for key in known_by):
        return True
    if isinstance(payload, dict) and payload.keys() == {"base64"}:
        payload = b64decode(payload["base64"]).decode(errors="replace")
    if isinstance(payload, str):
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return re.search(rf"(?<![\w.-]){outreach_id}(?![\w.-])", payload) is not None
    return _holds(payload, (outreach_id, str(outreach_id)))


def _known_by(connection: sqlite3.Connection, outreach_id: int) -> list[str]:
    """The addresses and the external id by which the directory finds a prospect."""
    return [
        key
        for (key,) in connection.execute(
            "SELECT address FROM addresses WHERE outreach_id = ?1 UNION ALL SELECT external_id"
            " FROM directory WHERE outreach_id = ?1 AND external_id NOT NULL",
            (outreach_id,),
        )
    ]


def _forget_keys(
    connection: sqlite3.Connection, outreach_id: int, known_by: Collection[str]
) -> None:
    """Removes what is stored of a prospect under its id and its keys."""
    connection.execute("DELETE FROM unresolved WHERE gone = ?", (outreach_id,))
    for key in known_by:
        connection.execute("DELETE FROM unresolved WHERE key = ?", (key,))
    for name in (str(outreach_id), *known_by):
        connection.execute("DELETE FROM exclusions WHERE prospect = ?", (name,))


def _forget_unreadable(
    connection: sqlite3.Connection, outreach_id: int, known_by: Collection[str]
) -> int:
    """Removes dead letters that name the prospect only in the arrival they hold."""
    letters = connection.execute(
        "SELECT id, line FROM dead_letters WHERE (outreach_id IS NULL AND stage = 'parse')"
        " OR outreach_id = 0"
    )
    found = [
        (number,) for number, line in letters if names(orjson.loads(line), outreach_id, known_by)
    ]
    connection.executemany("DELETE FROM dead_letters WHERE id = ?", found)
    return len(found)


def _holds(value: object, ids: tuple[int, str]) -> bool:
    rest = [value]
    while rest:
        found = rest.pop()
        if isinstance(found, dict):
            if any(type(found.get(key)) in (int, str) and found[key] in ids for key in _KEYS):
                return True
            rest += found.values()
        elif isinstance(found, list):
            rest += found
    return False
