"""The local Outreach: what it answers, and that it keeps to Outreach's contract."""
