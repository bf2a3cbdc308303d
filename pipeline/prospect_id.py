"""An OutreachId on the command line."""

from __future__ import annotations

from typing import Any

import click


class ProspectId(click.IntRange):
    """A positive integer, as Outreach numbers its prospects."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number; fails for what is none, and says what one is."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value!r} is no OutreachId, which is a positive whole number", param, ctx)


PROSPECT = ProspectId(min=1, max=2**63 - 1)
