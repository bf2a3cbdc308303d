"""Throughput, the cost of the stages, and growth; against the least that could be done."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

from benchmarks.measure import Result, destination, replay, run, sandbox
from tests.support.data.trace import flat_lines, segments

IN_FLIGHT = 16


def throughput(folder: Path, prospects: int = 40_000) -> list[Result]:
    """One change a prospect, against a server without a limit: whole processes, from the start."""
    segment = segments(1)[0]
    path = folder / "throughput.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for prospect in range(1, prospects + 1):
            file.write(
                json.dumps(
                    {
                        "outreach_id": prospect,
                        "segment": segment,
                        "status": "realized",
                        "event_time": "2026-01-02T03:04:05Z",
                    }
                )
                + "\n"
            )
    seconds = {}
    for name in ("bare", "replay"):
        with sandbox("--limit", "0", "--prospects", str(prospects)) as url:
            if name == "bare":
                command = [sys.executable, "-m", "benchmarks.bare"]
                ran = run([*command, url, str(path), "custom4", str(IN_FLIGHT)])
                assert int(ran.output) == prospects
            else:
                file_of = destination(folder, url, {segment: 4})
                ran = replay(str(path), "--destination", file_of)
                assert ran.summary["delivered"] == prospects
            seconds[name] = ran.seconds
    ratio = seconds["bare"] / seconds["replay"]
    return [
        Result(
            f"Speed of replay ÷ bare aiohttp loop, {prospects:,} PATCHes"
            f" ({prospects / seconds['replay']:,.0f}/s and {prospects / seconds['bare']:,.0f}/s)",
            f"{ratio:.2f}",
            "≥ 0.50",
            ratio >= 0.5,
        )
    ]


def stages(folder: Path, changes: int = 1_000_000, prospects: int = 100_000) -> list[Result]:
    """A dry run against a plain loop, and how time and memory grow tenfold."""
    audiences = {segment: number + 1 for number, segment in enumerate(segments(4))}
    file_of = destination(folder, "http://127.0.0.1:9", audiences)
    paths = {}
    for share in (100, 10, 1):
        paths[share] = folder / f"stages-{share}.jsonl"
        with paths[share].open("w", encoding="utf-8") as file:
            lines = flat_lines(changes // share, prospects // share, list(audiences))
            file.writelines(line + "\n" for line in lines)
    plain = median(
        run([sys.executable, "-m", "benchmarks.plain", str(paths[1])]).seconds for _ in range(3)
    )

    def rehearse(share: int, *more: str) -> tuple[float, int]:
        ran = replay(str(paths[share]), "--destination", file_of, "--dry_run", *more)
        assert ran.summary["changes"] == changes // share
        return ran.seconds, ran.peak_bytes

    _, idle_bytes = rehearse(100)
    tenth_seconds, tenth_bytes = rehearse(10)
    whole_seconds, whole_bytes = rehearse(1)
    written_seconds, _ = rehearse(1, "--receipts", str(folder / "receipts.jsonl"))
    ratio = plain / whole_seconds
    time_growth = whole_seconds / tenth_seconds
    memory_growth = (whole_bytes - idle_bytes) / max(1, tenth_bytes - idle_bytes)
    size = f"{changes:,} changes, {prospects:,} prospects"
    return [
        Result(
            f"Speed of a dry run ÷ plain json.loads and dicts, {size}"
            f" ({whole_seconds:.1f} s and {plain:.1f} s)",
            f"{ratio:.2f}",
            "≥ 0.30",
            ratio >= 0.3,
        ),
        Result(
            f"The same with a receipt written for each change ({written_seconds:.1f} s)",
            f"{plain / written_seconds:.2f}",
            "≥ 0.30",
            plain / written_seconds >= 0.3,
        ),
        Result(f"Time of {size} ÷ a tenth of it", f"{time_growth:.1f}", "≤ 11", time_growth <= 11),
        Result(
            f"Extra memory of {size} ÷ a tenth of it"
            f" ({(whole_bytes - idle_bytes) / 2**20:,.0f} MiB more than for a hundredth)",
            f"{memory_growth:.1f}",
            "≤ 11",
            memory_growth <= 11,
        ),
    ]
