"""A report of what was done, as one HTML file that needs nothing else.

Imports the ledger's queries; imported by `jobs`, `commands`, and the operator's page, which shows
the same plots.
"""
