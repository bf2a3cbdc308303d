"""Measures, prints a table, and writes it to benchmarks/results.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import faults, speed, thrift
from benchmarks.measure import Result

RESULTS = Path(__file__).with_name("results.md")
MEASUREMENTS = (
    thrift.patches_per_prospect,
    faults.waste,
    faults.recovery,
    speed.throughput,
    speed.stages,
)


def main() -> None:
    console = Console()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for measurement in MEASUREMENTS:
            console.print(f"[dim]{measurement.__module__}.{measurement.__name__} …[/]")
            results += measurement(Path(folder))
    table = Table("", "measured", "aim", "")
    for result in results:
        table.add_row(result.name, result.figure, result.aim, "" if result.met else "missed")
    console.print(table)
    RESULTS.write_text(written(results), encoding="utf-8")


def written(results: list[Result]) -> str:
    """The results as a page."""
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [
        "# Measured",
        "",
        f"By `make bench` on {today}: {machine()}.",
        "Each figure is a ratio within that run; whole processes, from start to end.",
        "",
        "| what | measured | aim | |",
        "|---|---:|---:|---|",
    ]
    lines += [
        f"| {result.name} | {result.figure} | {result.aim} | {'' if result.met else 'missed'} |"
        for result in results
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """The machine, as far as it matters to the figures."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores ({model}), {gib:.0f} GiB, {platform.system()}, Python {python}"


if __name__ == "__main__":
    main()
