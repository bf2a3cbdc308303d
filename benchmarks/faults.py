"""Trouble: what it costs in requests, and how soon a mended credential delivers again."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from benchmarks.measure import PROGRAM, ROOT, Result, destination, replay
from pipeline.sandbox.faults import FaultSettings
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.data.trace import segments

SHARE = 0.05
COSTLY = ("error_500", "error_502", "error_503", "reset_before", "reset_after", "timeout")
"""Each costs one request, whatever is done about it."""
SETTINGS = FaultSettings(
    **dict.fromkeys([*COSTLY, "slow"], SHARE),
    maintenance_seconds=0.2,
    timeout_seconds=0.2,
    slow_seconds=0.2,
)
SEGMENT = segments(1)[0]
MENDED, DEAD = "mended", "dead"


def waste(folder: Path, prospects: int = 400) -> list[Result]:
    """Requests spent under faults of each kind, against one a prospect and one a fault.

    A 401 is not among the faults: it costs a token, of which there is one a minute.
    """
    options = SandboxOptions(limit=0, prospects=prospects, faults=SETTINGS, seed=1)
    with running_sandbox(options) as sandbox:
        ran = replay(
            one_change_each(folder, prospects),
            "--destination",
            destination(folder, sandbox.url, {SEGMENT: 4}),
        )
        assert ran.summary["delivered"] == prospects
        spent = sandbox.requests()
    cost = sum(one.fault in COSTLY for one in spent)
    # A list is read first, since that might spare more than it costs.
    least = (prospects + 1 + cost) / prospects
    ratio = len(spent) / prospects
    return [
        Result(
            f"Requests spent ÷ needed, {SHARE:.0%} of requests each answered 500, 502, 503,"
            f" reset before or after the write, never, or late ({prospects:,} prospects,"
            f" {cost:,} requests lost to faults, {ran.seconds:.0f} s)",
            f"{ratio:.2f}",
            f"≤ {least:.2f}",
            len(spent) <= prospects + 1 + cost,
        )
    ]


def recovery(folder: Path, prospects: int = 200) -> list[Result]:
    """From a mended credential to the first PATCH: the same replay, started once more.

    The always-on job tries a paused user's credential again once a minute; that is not
    measured here.
    """
    path = one_change_each(folder, prospects)
    seconds = {}
    for name in ("fresh", "mended"):
        options = SandboxOptions(prospects=prospects, tokens={MENDED: "ops"})
        with running_sandbox(options) as sandbox:
            command = [
                *(*PROGRAM, "replay", path),
                *("--destination", destination(folder, sandbox.url, {SEGMENT: 4})),
                *("--ledger", str(folder / f"{name}.sqlite")),
            ]
            if name == "mended":
                assert started(command, DEAD).wait() not in (0, 3)
                assert not delivered(sandbox)
            began = time.time()
            assert started(command, MENDED).wait() == 0
            seconds[name] = min(delivered(sandbox)) - began
    ratio = seconds["mended"] / seconds["fresh"]
    return [
        Result(
            "Mended credential to first PATCH, by starting the paused replay's command again ÷"
            " a fresh replay to its first PATCH"
            f" ({seconds['mended']:.1f} s and {seconds['fresh']:.1f} s)",
            f"{ratio:.2f}",
            "≤ 1.25",
            ratio <= 1.25,
        )
    ]


def one_change_each(folder: Path, prospects: int) -> str:
    """A file with one change for each of so many prospects."""
    path = folder / f"one-each-{prospects}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for prospect in range(1, prospects + 1):
            change = {"outreach_id": prospect, "segment": SEGMENT, "status": "realized"}
            file.write(json.dumps(change) + "\n")
    return str(path)


def started(command: list[str], token: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OUTREACH_TOKEN": token},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def delivered(sandbox: Sandbox) -> list[float]:
    """When each PATCH was accepted, in epoch seconds."""
    return [
        one.finished_at
        for one in sandbox.requests()
        if one.method == "PATCH" and one.status == 200 and one.finished_at is not None
    ]
