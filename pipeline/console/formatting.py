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


def duration(seconds: float) -> str:
    """A span in its two largest units, such as ``3 h 12 min``."""
    whole = max(0, round(seconds))
    for size, name, part, part_name in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"
