"""The directory of the org, and who waits to be found in it."""

from __future__ import annotations

from typing import Final

SQL: Final = """
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
"""
