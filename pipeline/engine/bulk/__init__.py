"""Bulk actions over the ledger: planned, created, confirmed, read back, settled.

Imports the engine's inquiries, the ledger and the transforms; the scheduler imports it.
"""
