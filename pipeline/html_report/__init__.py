"""A report of what was done, as one HTML file that needs nothing else.

Imports the ledger's queries; imported by `jobs` and `commands`.
"""
