"""Requests besides patches: reading the org, looking people up, bulk actions."""
