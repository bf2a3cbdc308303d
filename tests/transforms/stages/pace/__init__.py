"""Pace, the unbounded half of patch, by what it promises; `pacing` drives it."""
