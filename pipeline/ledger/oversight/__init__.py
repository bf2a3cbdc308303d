"""Alerts about a ledger, and actions that people take on it."""
