"""Tests, in the same tree as the code; what they share is in `support`."""
