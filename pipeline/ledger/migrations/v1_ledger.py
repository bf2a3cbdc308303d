"""The ledger as it began: what arrived, what waits, what is known, what became of it."""

from __future__ import annotations

from typing import Final

SQL: Final = """
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
"""
