"""What the org holds: prospects and accounts found, created, read and reconciled."""
