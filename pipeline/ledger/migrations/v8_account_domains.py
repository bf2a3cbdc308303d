"""Which accounts domains are, and what waits for the account of one."""

from __future__ import annotations

from typing import Final

SQL: Final = """
-- Accounts by their domain, as Outreach was last seen to have them.
CREATE TABLE account_domains (
    domain TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (domain, account_id)
) WITHOUT ROWID;
CREATE INDEX account_domains_account ON account_domains (account_id);
CREATE INDEX waiting_accounts ON waiting (value) WHERE field = 'account_domain';
CREATE INDEX unresolved_accounts ON unresolved (value) WHERE field = 'account_domain';
"""
