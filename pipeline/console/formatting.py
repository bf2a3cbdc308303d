"""Tables for people: columns without lines, wrapped where a terminal is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_rows(
    console: Console, title: str, rows: Sequence[Sequence[str]], header: Sequence[str] = ()
) -> None:
    """Prints rows below a title, if there are any.

    Args:
      console: to print to.
      title: of all.
      rows: as long as one another; cells are text, not markup.
      header: what the columns hold; none is shown where it is empty.
    """
    if not rows:
        return
    table = Table(box=None, show_header=bool(header), padding=(0, 2), header_style="dim")
    for place, column in enumerate(zip(*rows, strict=True)):
        # Ids stay in one piece; sentences and names may be broken.
        least = max(len(cell.split(" ")[0]) for cell in column)
        table.add_column(escape(header[place]) if header else "", overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(title)
    console.print(table)
