"""Outreach: its answers, its client, its credentials, and what is sent to it; no Beam."""
