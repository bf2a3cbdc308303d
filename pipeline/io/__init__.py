"""Where arrivals come from and where outputs go: files, Pub/Sub, JSON Lines.

Imports `transforms`; imported by `engine`, `jobs` and `commands`.
"""
