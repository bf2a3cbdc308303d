"""What `validate` finds before anything is sent."""
