"""Full refreshes that come in pages."""

from __future__ import annotations

from typing import Final

SQL: Final = """
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
"""
