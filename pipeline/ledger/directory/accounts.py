"""Accounts by their domain, and the changes of prospects that wait for one.

A prospect whose account is not known yet is not sent anything: its account goes in the request
that carries its other fields.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from pipeline.ledger import waiting
from pipeline.ledger.store import marks
from transforms.directory import DirectoryEntry
from transforms.elements import Change
from transforms.matching import ACCOUNT_KEYS, DOMAIN, kind_of

_AT_ONCE: Final = 10_000
_COMPANY: Final = "company"


def store(connection: sqlite3.Connection, page: Iterable[DirectoryEntry], seen_at: int) -> None:
    """Notes which domains accounts have, within the caller's transaction."""
    for entry in page:
        connection.execute("DELETE FROM account_domains WHERE account_id = ?", (entry.outreach_id,))
        connection.executemany(
            "INSERT INTO account_domains (domain, account_id, seen_at) VALUES (?, ?, ?)",
            (
                (key, entry.outreach_id, seen_at)
                for key in entry.emails
                if kind_of(ACCOUNT_KEYS, key) is DOMAIN
            ),
        )


def note(connection: sqlite3.Connection, domain: str, account: int, seen_at: int) -> None:
    """Notes the account of a domain, within the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO account_domains (domain, account_id, seen_at) VALUES (?, ?, ?)",
        (domain, account, seen_at),
    )


def find(connection: sqlite3.Connection, domains: Sequence[str]) -> dict[str, list[int]]:
    """The ids of each domain that any account is known to have."""
    found: dict[str, list[int]] = {}
    for start in range(0, len(domains), _AT_ONCE):
        some = domains[start : start + _AT_ONCE]
        for domain, account in connection.execute(
            "SELECT domain, account_id FROM account_domains"
            f" WHERE domain IN ({marks(some)}) ORDER BY account_id",
            some,
        ):
            found.setdefault(domain, []).append(account)
    return found


def drop(connection: sqlite3.Connection, stale: Iterable[tuple[str, int]]) -> None:
    """Forgets accounts of domains, within the caller's transaction."""
    connection.executemany("DELETE FROM account_domains WHERE domain = ? AND account_id = ?", stale)


def forget(connection: sqlite3.Connection, domains: Iterable[str]) -> None:
    """Forgets whose domains are, within the caller's transaction."""
    connection.executemany(
        "DELETE FROM account_domains WHERE domain = ?", ((domain,) for domain in domains)
    )


def forget_older(connection: sqlite3.Connection, before: int) -> None:
    """Forgets what was seen before a time, within the caller's transaction."""
    connection.execute("DELETE FROM account_domains WHERE seen_at < ?", (before,))


def wanted(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Domains whose accounts prospects wait for that are not known; since when they do."""
    return list(
        connection.execute(
            "SELECT json_extract(value, '$') AS domain, min(received_at) FROM waiting"
            " WHERE field = 'account_domain' AND value <> 'null' AND NOT EXISTS (SELECT 1"
            " FROM account_domains AS d WHERE d.domain = json_extract(waiting.value, '$'))"
            " GROUP BY 1 ORDER BY 2, 1"
        )
    )


def take(connection: sqlite3.Connection, domain: str) -> list[Change]:
    """The changes of prospects that wait for an account; they wait no longer."""
    found = connection.execute(
        f"SELECT {waiting.columns_of('w')} FROM waiting AS w"
        " WHERE field = 'account_domain' AND value = ?",
        (orjson.dumps(domain).decode(),),
    ).fetchall()
    return list(waiting.leave(connection, [waiting.change_of(row) for row in found]))


def company(connection: sqlite3.Connection, domain: str) -> str:
    """What the prospects of a domain call their company; empty for nothing."""
    told = connection.execute(
        "SELECT c.value FROM waiting AS a JOIN waiting AS c"
        " ON c.outreach_id = a.outreach_id AND c.field = ?2"
        " WHERE a.field = 'account_domain' AND a.value = ?1"
        " UNION ALL SELECT c.value FROM unresolved AS a JOIN unresolved AS c"
        " ON c.key = a.key AND c.field = ?2 WHERE a.field = 'account_domain' AND a.value = ?1",
        (orjson.dumps(domain).decode(), _COMPANY),
    )
    names = (orjson.loads(value) for (value,) in told)
    return next((name.strip() for name in names if isinstance(name, str) and name.strip()), "")


def is_any_waiting(connection: sqlite3.Connection) -> bool:
    """Whether any prospect is to be tied to an account."""
    row = connection.execute(
        "SELECT 1 FROM waiting WHERE field = 'account_domain' LIMIT 1"
    ).fetchone()
    return row is not None
