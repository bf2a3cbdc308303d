"""What the engine asks of the org: whom addresses are, and what is so."""
