"""The documents: that their examples run, and their tables say what the program does."""
