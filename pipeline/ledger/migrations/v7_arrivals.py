"""When the changes of receipts arrived, and which receipts are of one kind."""

from __future__ import annotations

from typing import Final

SQL: Final = """
-- Of receipts of what was sent, when the change arrived; of others, and of those from before
-- this version, it is not kept. What waits for its prospect takes it along.
ALTER TABLE receipts ADD COLUMN arrived_at INTEGER;
ALTER TABLE unresolved ADD COLUMN arrived_at INTEGER;

-- Kinds of receipts, as many as audiences times outcomes; the segment of attributes is empty. By
-- its number a kind's receipts are counted and found, with a tenth of an index of its names.
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    segment TEXT NOT NULL,
    field TEXT NOT NULL,
    outcome TEXT NOT NULL,
    UNIQUE (segment, field, outcome)
);
INSERT INTO kinds (segment, field, outcome)
    SELECT DISTINCT coalesce(segment, ''), field, outcome FROM receipts;
ALTER TABLE receipts ADD COLUMN kind INTEGER;
UPDATE receipts SET kind = (SELECT kinds.id FROM kinds WHERE kinds.field = receipts.field
    AND kinds.segment = coalesce(receipts.segment, '') AND kinds.outcome = receipts.outcome);
CREATE INDEX receipts_kind ON receipts (kind);
"""
