"""Giving disk back: what a backlog took of the file, and nobody needs any more."""

from __future__ import annotations

import sqlite3

SPARE_PAGES = 4_096
"""Free pages (4 KB each) that stay: what comes and goes all day finds its place on them."""
SPARE_SHARE = 0.25
"""Of all pages, that may be free."""
STEP_PAGES = 4_096
"""Given back in one go, which takes some 50 ms."""


def shrink(connection: sqlite3.Connection) -> bool:
    """Gives back some free pages where there are many; returns whether it did.

    They are used again by themselves; but after a backlog of millions there may never be as
    much to put on them. The file gets smaller with the next checkpoint.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    spare = max(SPARE_PAGES, int(pages * SPARE_SHARE))
    if free <= spare:
        return False
    # A script, because a statement of this kind goes on only for as long as it is stepped.
    connection.executescript(f"PRAGMA incremental_vacuum({min(STEP_PAGES, free - spare)});")
    return True
