"""Whole runs of the program, as its user starts it, in rooms by what is run."""
