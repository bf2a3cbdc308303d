"""A first activation by bulk actions: requests and time, against a PATCH for each prospect."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from benchmarks.measure import Result, destination, replay, sandbox

PROSPECTS = 100_000
AUDIENCES = {f"audience-{number}": number + 3 for number in range(1, 6)}
HOURLY = 9_500
"""Requests that a user's budget allows in an hour, with the default reserve."""


def activation(folder: Path) -> list[Result]:
    """100,000 prospects over five audiences, each in one; and the same files once more."""
    changes = folder / "first.jsonl"
    names = list(AUDIENCES)
    with changes.open("w", encoding="utf-8") as file:
        for number in range(1, PROSPECTS + 1):
            told = {"outreach_id": number, "segment": names[number % 5], "status": "realized"}
            file.write(json.dumps(told) + "\n")
    arguments = ("--prospects", str(PROSPECTS), "--batch_seconds", "5")
    with sandbox(*arguments) as url:
        path = Path(destination(folder, url, AUDIENCES, requests=10_000))
        said = json.loads(path.read_text("utf-8"))
        said["delivery"]["bulk"] = {"mode": "auto"}
        path.write_text(json.dumps(said), encoding="utf-8")
        first = replay(str(changes), "--destination", str(path), "--ledger", str(folder / "a.db"))
        again = replay(str(changes), "--destination", str(path), "--ledger", str(folder / "b.db"))
        with urllib.request.urlopen(f"{url}/sandbox/state") as answer:  # noqa: S310 - ours
            state = json.load(answer)
    broken = sum(state["violations"]["counts"].values())
    if first.summary["delivered"] != PROSPECTS or broken:
        raise RuntimeError(f"{first.summary['delivered']} were delivered, {broken} violations")
    hours = PROSPECTS / HOURLY
    requests, rerun = first.summary["requests"], again.summary["requests"]
    return [
        Result(
            f"requests for a first activation of {PROSPECTS:,} prospects",
            f"{requests:,}",
            "≤ 300",
            requests <= 300,
        ),
        Result(
            "its time with batches of 5 s; a PATCH each takes",
            f"{first.seconds:,.0f} s; {hours:.1f} h",
            "minutes",
            first.seconds < 600,
        ),
        Result(
            "requests for the same files again, without a memory",
            f"{rerun:,}",
            "≤ 170",
            rerun <= 170,
        ),
        Result(
            "of them, prospects written",
            f"{again.summary['delivered']:,}",
            "0",
            not again.summary["delivered"],
        ),
    ]
