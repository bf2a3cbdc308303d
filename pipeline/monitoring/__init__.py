"""Whether a job is well, and who is told if not: status, metrics, health, alerts.

Imports `console`, `ledger` and `transforms`; imported by `engine`, `jobs` and `commands`.
"""
