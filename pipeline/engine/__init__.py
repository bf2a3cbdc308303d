"""The graph over a ledger: takes arrivals in, delivers what is due, commits each outcome.

Imports `monitoring`, `io`, `console`, `destination`, `ledger` and `transforms`; imported by `jobs`.
"""
