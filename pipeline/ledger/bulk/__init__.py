"""Batches of bulk actions and whose fields are in them; imports the ledger's other tables."""
