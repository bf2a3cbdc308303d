"""The operator's page: a ledger in a browser, while a job works on it or not.

Imports the ledger and `monitoring`, whose views it shows; imported by `jobs` and `commands`.
"""
