"""The program as its user runs it: once to its end, all the time, or killed amid its work."""
