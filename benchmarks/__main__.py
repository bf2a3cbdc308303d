"""Measures, prints a table, and writes it to benchmarks/results.md.

Usage: python -m benchmarks [MODULE …]; without one, all modules.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    always_on,
    bulk,
    directory,
    door,
    faults,
    live_beside_backfill,
    operator_page,
    page,
    speed,
    streaming,
    thrift,
    upsert,
)
from benchmarks.measure import Result
from benchmarks.scale.simulated import simulated

RESULTS = Path(__file__).with_name("results.md")
MODULES: Mapping[str, Sequence[Callable[[Path], list[Result]]]] = {
    "thrift": (thrift.patches_per_prospect,),
    "faults": (faults.waste, faults.recovery),
    "speed": (speed.throughput, speed.stages),
    "always_on": (always_on.inbox, always_on.loop, always_on.latency, always_on.backlog),
    "directory": (directory.directory,),
    "bulk": (bulk.activation,),
    "upsert": (upsert.creations,),
    "live_beside_backfill": (live_beside_backfill.live,),
    "operator_page": (operator_page.page,),
    "door": (door.answers, door.intake),
    "streaming": (streaming.coalescing, streaming.budget),
    "scale": (simulated,),
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(MODULES))
    chosen = parser.parse_args(arguments).modules or list(MODULES)
    unknown = [name for name in chosen if name not in MODULES]
    if unknown:
        parser.error(f"there is no module {', '.join(unknown)}; there are {', '.join(MODULES)}")
    console = Console()
    shown = Table("", "measured", "aim", "")
    for name in chosen:
        results: list[Result] = []
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for measurement in MODULES[name]:
                console.print(f"[dim]{name}.{measurement.__name__} …[/]")
                results += measurement(Path(folder))
        for result in results:
            shown.add_row(result.name, result.figure, result.aim, result.verdict)
        keep(
            name, page.table(results, f"{today()}: {machine()}; {time.monotonic() - began:,.0f} s.")
        )
    console.print(shown)


def keep(name: str, made: str) -> None:
    """Puts a module's table into the page; those of others stay as they are."""
    before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    RESULTS.write_text(
        page.written(MODULES, {**page.sections(before), name: made}), encoding="utf-8"
    )


def today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()


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
    main(sys.argv[1:])
