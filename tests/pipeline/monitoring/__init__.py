"""Status, metrics, health, alerts and their rules."""
