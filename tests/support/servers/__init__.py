"""Servers that tests start, and clients of them: what stands in for others' services."""
