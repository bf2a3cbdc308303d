"""`object: account`: found by domain and name, created with `mode: upsert`."""
