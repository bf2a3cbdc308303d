"""The kinds of run: a batch, a replay over a ledger, the always-on job, a streaming runner.

Imports `engine` and all that is below it; imported by `commands` and `preflight`.
"""
