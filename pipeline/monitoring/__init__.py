"""Status, metrics, health and alerts of a job.

Imports `console`, `ledger` and `transforms`; imported by `engine`, `jobs` and `commands`.
"""
