"""Credentials: tokens renewed, kept, shared, and refused."""
