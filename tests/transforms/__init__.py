"""The pure core, and in rooms what stands on it: budget, formats, Outreach, stages."""
