"""The destination file: read, checked with file and line, and turned into what the stages need.

Imports `transforms`; imported by `commands`, `jobs`, `engine`, `preflight` and `oauth_flow`.
"""
