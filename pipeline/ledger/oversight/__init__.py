"""What people are told of a ledger, and what they do to it."""
