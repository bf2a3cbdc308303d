"""Tables for people: columns without lines, wrapped where a terminal is narrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from transforms.text import shown

_SHORT_SECONDS: Final = 9.95


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


def tell_unmapped(console: Console, segments: Sequence[Mapping[str, Any]]) -> None:
    """Prints the unmapped segments that came most often, and those that were probably meant."""
    if not segments:
        return
    console.print(
        "  unmapped most often: "
        + ", ".join(f"{escape(shown(each['segment']))} ({each['count']:,})" for each in segments)
    )
    for each in segments:
        if each["resembles"] is not None:
            console.print(
                f"[bold red]mistyped?[/] {escape(shown(each['segment']))} is no audience of the"
                f" destination, and {escape(shown(each['resembles']))} is: they differ in capitals,"
                " blanks, a prefix or the namespace only"
            )


def lasted(seconds: float) -> str:
    """As `duration`, with tenths where it was short: ``0.4 s``."""
    return f"{max(0.0, seconds):.1f} s" if seconds < _SHORT_SECONDS else duration(seconds)


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
