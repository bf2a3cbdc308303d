"""The ledger: what is durable, what is found in it again, and how large it grows."""
