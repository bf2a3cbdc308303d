"""Input formats: which one a line is of, and the changes that it says."""
