"""The HTTP door: platforms post their changes, and get an answer once these are durable.

Imports the ledger, the destination and `io`; imported by `jobs`.
"""
