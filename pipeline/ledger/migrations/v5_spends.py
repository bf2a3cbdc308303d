"""What each Outreach user spent of its budget, by minute."""

from __future__ import annotations

from typing import Final

SQL: Final = """
-- Requests that came to their end in a minute, counted from the epoch, by the process that made
-- them; and how many requests Outreach allowed fewer than our own count would have, when that
-- was last written down.
CREATE TABLE spends (
    user TEXT NOT NULL,
    minute INTEGER NOT NULL,
    began INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    withheld INTEGER NOT NULL,
    PRIMARY KEY (user, minute, began)
) WITHOUT ROWID;
CREATE INDEX spends_time ON spends (minute);
"""
