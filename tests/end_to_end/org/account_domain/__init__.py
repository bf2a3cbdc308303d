"""`target: account_domain`: a prospect is tied to its account, which is found or created first."""
