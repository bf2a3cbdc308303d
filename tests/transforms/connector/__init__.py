"""The transforms for others' pipelines, on each runner that tests have."""
