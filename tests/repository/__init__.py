"""The repository's own scripts: the audit of what is installed."""
