"""The ledger's tables, and how an older file becomes one of today."""

from __future__ import annotations

import sqlite3
from typing import Final

from pipeline.ledger.migrations import MIGRATIONS
from transforms.errors import ConfigurationError

VERSION: Final = len(MIGRATIONS)
APPLICATION: Final = int.from_bytes(b"oalg")
"""Tells a ledger from other SQLite files that have a version."""


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The version of a ledger; 0 of an empty file.

    Raises:
      ConfigurationError: it was written by a newer release, or is no ledger.
      sqlite3.DatabaseError: it cannot be read.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (found or tables):
        raise ConfigurationError(f"{path} is a database, but no ledger; name another file")
    if found > VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer release (version {found}, this one knows"
            f" {VERSION}); upgrade outreach-activation"
        )
    return int(found)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Brings a ledger up to date, in one transaction a version.

    Raises:
      ConfigurationError: as of `version_of`.
      sqlite3.DatabaseError: it cannot be read or written; it is as it was, or of a version
        between.
    """
    for version in range(version_of(connection, path), VERSION):
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; {MIGRATIONS[version]}"
            f" PRAGMA user_version = {version + 1}; COMMIT;"
        )
