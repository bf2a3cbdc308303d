"""The page of results: a table for each module, which stays until that module is run again."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.measure import Result

TITLE = "# Measured"
ABOUT = (
    "By `make bench`, or `python -m benchmarks MODULE …` for some modules alone: each table says\n"
    "when and where it was made. Whole processes, from start to end; ratios are within one run."
)
_HEADING = "## "


def sections(page: str) -> dict[str, str]:
    """The tables of a page as they stand, by module."""
    found: dict[str, str] = {}
    for part in f"\n{page}".split(f"\n{_HEADING}")[1:]:
        name, _, text = part.partition("\n")
        found[name.strip()] = text.strip()
    return found


def table(results: Iterable[Result], made: str) -> str:
    """A module's table, under a line that says when and where it was made."""
    lines = [made, "", "| what | measured | aim | |", "|---|---:|---:|---|"]
    lines += [
        f"| {result.name} | {result.figure} | {result.aim} | {result.verdict} |"
        for result in results
    ]
    return "\n".join(lines)


def written(modules: Iterable[str], tables: dict[str, str]) -> str:
    """The page, with the tables of modules in their order; those that have none are left out."""
    parts = [f"{TITLE}\n\n{ABOUT}\n"]
    parts += [f"{_HEADING}{name}\n\n{tables[name]}\n" for name in modules if name in tables]
    return "\n".join(parts)
