"""Beam in tests: its runner Prism, its TestStream, and what it makes of the job's graph."""
