"""What people ask of a ledger: one consistent snapshot of it, and one prospect's history.

Imports the ledger's tables and `transforms`; imported by `monitoring` and `commands`.
"""
