"""What makes each version of a ledger's file from the one before it, in order.

A migration that was released is never changed: a ledger that is out there was made by it.
"""

from __future__ import annotations

from typing import Final

from pipeline.ledger.migrations import (
    v1_ledger,
    v2_refreshes,
    v3_directory,
    v4_bulk,
    v5_spends,
    v6_spellings,
    v7_arrivals,
    v8_account_domains,
)

MIGRATIONS: Final = (
    v1_ledger.SQL,
    v2_refreshes.SQL,
    v3_directory.SQL,
    v4_bulk.SQL,
    v5_spends.SQL,
    v6_spellings.SQL,
    v7_arrivals.SQL,
    v8_account_domains.SQL,
)
