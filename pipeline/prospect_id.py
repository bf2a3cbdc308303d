"""An OutreachId on the command line."""

from __future__ import annotations

import click

PROSPECT = click.IntRange(min=1, max=2**63 - 1)
"""A positive integer, as Outreach numbers its prospects."""
