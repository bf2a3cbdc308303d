"""What is sent to Outreach, what its answers mean, and the HTTP client between."""
