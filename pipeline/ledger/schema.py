"""The ledger's tables, and how an older file becomes one of today."""

from __future__ import annotations

import sqlite3
from typing import Final

from transforms.errors import ConfigurationError

MIGRATIONS: Final = (
    """
    -- What arrived, in order. Once taken in, the body goes; the id stays, to know a repetition.
    -- A place is never used again, and neither is the id of a receipt or a dead letter, even if
    -- the newest row goes: others remember how far they came by it.
    CREATE TABLE inbox (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,
        message_id TEXT NOT NULL,
        published INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        body BLOB,
        received_at INTEGER NOT NULL,
        UNIQUE (source, message_id)
    );
    CREATE INDEX inbox_open ON inbox (lane, place) WHERE body IS NOT NULL;

    -- Replays that have not ended: where each began, and how many blocks of its files are in.
    CREATE TABLE replays (
        files TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        blocks INTEGER NOT NULL,
        totals TEXT NOT NULL
    ) WITHOUT ROWID;

    -- Prospects with something to send, one row each however much arrives for them.
    CREATE TABLE queue (
        outreach_id INTEGER PRIMARY KEY,
        user TEXT NOT NULL,
        lane INTEGER NOT NULL,
        since INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        troubled_since INTEGER
    );
    CREATE INDEX queue_next ON queue (user, lane, due_at, since);

    -- The newest change of each field that waits to be sent.
    CREATE TABLE waiting (
        outreach_id INTEGER NOT NULL,
        field TEXT NOT NULL,
        change_id TEXT NOT NULL,
        user TEXT NOT NULL,
        value TEXT NOT NULL,
        segment TEXT,
        namespace TEXT,
        origin TEXT NOT NULL,
        event_time INTEGER,
        sequence INTEGER NOT NULL,
        retry INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        PRIMARY KEY (outreach_id, field)
    ) WITHOUT ROWID;
    CREATE INDEX waiting_audience ON waiting (segment, user, received_at);

    -- What each field was last known to hold, and which change made it so. It is doubted from
    -- before another value is sent until that was answered: it may have been overwritten.
    CREATE TABLE known (
        outreach_id INTEGER NOT NULL,
        field TEXT NOT NULL,
        value TEXT NOT NULL,
        event_time INTEGER,
        sequence INTEGER NOT NULL,
        change_id TEXT NOT NULL,
        segment TEXT,
        origin TEXT NOT NULL,
        heard_at INTEGER NOT NULL,
        doubted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (outreach_id, field)
    ) WITHOUT ROWID;
    CREATE INDEX known_audience ON known (segment, origin) WHERE segment IS NOT NULL;

    -- What became of each change.
    CREATE TABLE receipts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        change_id TEXT NOT NULL,
        outreach_id INTEGER NOT NULL,
        segment TEXT,
        field TEXT NOT NULL,
        value TEXT NOT NULL,
        event_time INTEGER,
        outcome TEXT NOT NULL,
        reason TEXT,
        detail TEXT,
        http_status INTEGER,
        user TEXT,
        recorded_at INTEGER NOT NULL
    );
    CREATE INDEX receipts_prospect ON receipts (outreach_id);
    CREATE INDEX receipts_time ON receipts (recorded_at, outcome);

    -- What could not be read or delivered, as it is written out.
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        outreach_id INTEGER,
        stage TEXT NOT NULL,
        reason TEXT NOT NULL,
        line BLOB NOT NULL,
        recorded_at INTEGER NOT NULL
    );
    CREATE INDEX dead_letters_time ON dead_letters (recorded_at);
    CREATE INDEX dead_letters_prospect ON dead_letters (outreach_id)
        WHERE outreach_id IS NOT NULL;

    -- How far each output file was written: what is past `bytes` in it was not committed.
    CREATE TABLE outputs (
        target TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        written_to INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) WITHOUT ROWID;

    -- Each Outreach user's budget and its terms, and why the user is paused, if it is. A user
    -- that the destination no longer names has no terms.
    CREATE TABLE users (
        name TEXT PRIMARY KEY,
        budget BLOB,
        requests INTEGER,
        per_seconds REAL,
        reserve INTEGER,
        paused TEXT,
        paused_at INTEGER
    ) WITHOUT ROWID;

    -- The audiences that the destination names, for whoever looks.
    CREATE TABLE audiences (
        field TEXT PRIMARY KEY,
        segment TEXT NOT NULL,
        name TEXT NOT NULL
    ) WITHOUT ROWID;

    -- Members whose exit arrived of late, and is waiting or was delivered.
    CREATE TABLE exits (
        segment TEXT NOT NULL,
        outreach_id INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (segment, outreach_id)
    ) WITHOUT ROWID;
    CREATE INDEX exits_time ON exits (segment, at);
    CREATE INDEX exits_prospect ON exits (outreach_id);

    -- Prospects that were forgotten while work on them may have been under way, and are to be
    -- forgotten again once everything up to that place of the inbox was taken in.
    CREATE TABLE forgotten (
        outreach_id INTEGER PRIMARY KEY,
        place INTEGER NOT NULL
    );

    -- Audiences that empty too fast, held until a person lets them go; and those let go.
    CREATE TABLE held (
        segment TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        members INTEGER NOT NULL,
        exits INTEGER NOT NULL,
        released_at INTEGER
    ) WITHOUT ROWID;

    -- Alerts that are not over, or whose end was not told yet; and whether they were told.
    CREATE TABLE alerts (
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        text TEXT NOT NULL,
        since INTEGER NOT NULL,
        told_at INTEGER,
        over_at INTEGER,
        PRIMARY KEY (kind, subject)
    ) WITHOUT ROWID;

    -- Running totals, for the summary, the metrics and the accounts of `changes == receipts`.
    CREATE TABLE totals (
        name TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    -- Pages of whole audiences, until the others are in. Once they are, the members go, and the
    -- rest stays for a while, to know a page that comes again.
    CREATE TABLE refresh_pages (
        segment TEXT NOT NULL,
        session TEXT NOT NULL,
        page INTEGER NOT NULL,
        pages INTEGER NOT NULL,
        published INTEGER NOT NULL,
        members BLOB,
        PRIMARY KEY (segment, session, page)
    ) WITHOUT ROWID;
    """,
    """
    -- What Outreach was read to hold of each prospect. `fields` is a JSON object of the mapped
    -- fields that hold something; it is doubted from before a write is sent until all are answered.
    CREATE TABLE directory (
        outreach_id INTEGER PRIMARY KEY,
        external_id TEXT,
        updated_at INTEGER NOT NULL,
        read_at INTEGER NOT NULL,
        fields TEXT NOT NULL,
        doubted_at INTEGER
    );
    CREATE INDEX directory_external ON directory (external_id) WHERE external_id NOT NULL;

    -- By which addresses prospects are found; digests of them, where they are not to be kept.
    CREATE TABLE addresses (
        address TEXT NOT NULL,
        outreach_id INTEGER NOT NULL,
        PRIMARY KEY (address, outreach_id)
    ) WITHOUT ROWID;
    CREATE INDEX addresses_prospect ON addresses (outreach_id);

    -- How far the directory is read: one row. A pull under way has a `next_page`; Outreach's own
    -- clock says from when the next one goes on.
    CREATE TABLE pulls (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        fields TEXT NOT NULL,
        hashed INTEGER NOT NULL,
        next_page TEXT,
        is_full INTEGER NOT NULL DEFAULT 0,
        began_at INTEGER,
        began_there INTEGER,
        full_at INTEGER,
        fresh_at INTEGER,
        since INTEGER,
        requests INTEGER NOT NULL DEFAULT 0
    );

    -- Changes of prospects that are not found by their address or external id, or not yet; and of
    -- one that was `gone` when it was to be written, under another of its addresses perhaps.
    CREATE TABLE unresolved (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        lane INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        looked_at INTEGER,
        gone INTEGER,
        change_id TEXT NOT NULL,
        field TEXT NOT NULL,
        value TEXT NOT NULL,
        segment TEXT,
        namespace TEXT,
        origin TEXT NOT NULL,
        event_time INTEGER,
        sequence INTEGER NOT NULL,
        retry INTEGER NOT NULL
    );
    CREATE INDEX unresolved_key ON unresolved (key);

    -- Fields that an audience was written to which the destination does not write there any more.
    CREATE TABLE leftovers (
        field TEXT NOT NULL,
        segment TEXT NOT NULL,
        name TEXT NOT NULL,
        since INTEGER NOT NULL,
        PRIMARY KEY (field, segment)
    ) WITHOUT ROWID;

    -- What `only_if` or `empty: keep` kept out of a prospect's fields last, and why.
    CREATE TABLE exclusions (
        prospect TEXT NOT NULL,
        what TEXT NOT NULL,
        status TEXT NOT NULL,
        detail TEXT NOT NULL,
        event_time INTEGER,
        recorded_at INTEGER NOT NULL,
        PRIMARY KEY (prospect, what)
    ) WITHOUT ROWID;
    CREATE INDEX exclusions_time ON exclusions (recorded_at);

    -- How far the checking of what Outreach holds has come, and what it found so far: one row.
    CREATE TABLE checks (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        next_id INTEGER NOT NULL,
        began_at INTEGER NOT NULL,
        found TEXT NOT NULL,
        last TEXT
    );
    """,
)
"""What makes each version of the file from the one before it."""

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
