"""The commands over a ledger, whoever works on it meanwhile; one module each."""
