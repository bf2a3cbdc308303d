"""`status`: what it reads from a ledger, and what it prints."""
