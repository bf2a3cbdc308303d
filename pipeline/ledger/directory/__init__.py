"""The directory of Outreach's prospects, and whoever waits to be found in it.

Imports the ledger's store and the transforms; the engine, jobs and commands import it.
"""
