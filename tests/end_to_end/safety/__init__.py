"""What `docs/security.md` promises, and drills with servers that misbehave."""
