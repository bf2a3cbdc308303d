"""What the commands share at the terminal: flags, exit statuses, logs, tables, progress.

Imports `transforms` only; imported by `commands`, `jobs`, `engine` and `monitoring`.
"""
