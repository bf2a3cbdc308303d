"""The report of what was done: its numbers, and that it needs nothing else."""
