"""The graph over a ledger: what is due, in which order, and where outcomes go."""
