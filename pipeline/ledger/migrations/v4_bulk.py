"""Bulk actions: batches, and whose fields are in one; and of which object a ledger is."""

from __future__ import annotations

from typing import Final

SQL: Final = """
-- Batches, from before Outreach is asked for one. `kept` prospects held the value when they were
-- read back. `state` is planned, created, confirmed, ended, settled or released.
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    state TEXT NOT NULL,
    batch_id INTEGER,
    prospects INTEGER NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    was_read INTEGER NOT NULL DEFAULT 0,
    planned_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    note TEXT
);
CREATE INDEX batches_open ON batches (user, state) WHERE state NOT IN ('settled', 'released');

-- What people did from the operator's page.
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- Alerts that are over, and that somebody was told of.
CREATE TABLE past_alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    since INTEGER NOT NULL,
    over_at INTEGER NOT NULL
);

-- By name: of which kind of object a ledger is, since when sending is paused.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Fields of prospects that are in a batch: nothing else may write them meanwhile.
CREATE TABLE batch_members (
    outreach_id INTEGER NOT NULL,
    field TEXT NOT NULL,
    number INTEGER NOT NULL,
    change_id TEXT NOT NULL,
    PRIMARY KEY (outreach_id, field)
) WITHOUT ROWID;
CREATE INDEX batch_members_number ON batch_members (number);
"""
