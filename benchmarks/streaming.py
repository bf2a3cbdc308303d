"""The job on a streaming runner: how fast it merges, and how it keeps to the budget.

On Prism, the one portable runner that runs here: its workers ask it for their state over gRPC and
keep none of it, as those of Flink and Dataflow may. The aims: a tenth of a replay's speed, whose
merge is in memory; that is more than the budgets of twenty Outreach users carry. And of the budget
all that a window allows, and not one request more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.always_on import flat, unmeasured
from benchmarks.job import LOOK_SECONDS, running_program
from benchmarks.measure import Result, destination, replay, sandbox
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.beam import prism
from tests.support.data.trace import segments
from tests.support.servers.pubsub_emulator import HOW_TO, Emulator, running_emulator

AUDIENCES = 5
LONGEST_SECONDS = 180.0
WINDOW_SECONDS = 5.0
ALLOWANCE = 60


def coalescing(folder: Path, prospects: int = 1_000) -> list[Result]:
    """From the subscription to the receipts, against a replay of the same changes."""
    changes = prospects * AUDIENCES
    name = (
        f"Changes a second on Prism ÷ by replay on FnApiRunner, {changes:,} of {prospects:,}"
        " prospects, no budget"
    )
    with running_emulator() as emulator:
        program = prism.built()
        if emulator is None or program is None:
            return [unmeasured(name, prism.HOW_TO if emulator else HOW_TO)]
        fields = {segment: 4 + n for n, segment in enumerate(segments(AUDIENCES))}
        bodies = [flat(each, segment) for segment in fields for each in range(1, prospects + 1)]
        path = folder / "streaming.jsonl"
        path.write_text("".join(body + "\n" for body in bodies), encoding="utf-8")
        with sandbox("--limit", "0", "--prospects", str(prospects)) as url:
            ran = replay(str(path), "--destination", destination(folder, url, fields))
            assert ran.summary["changes"] == changes
        receipts = folder / "receipts.jsonl"
        with (
            sandbox("--limit", "0", "--prospects", str(prospects)) as url,
            emulator.channel(ack_deadline_seconds=60) as channel,
        ):
            channel.publish(*bodies)
            file_of = destination(folder, url, fields)
            with streaming(emulator, channel.subscription, file_of, receipts, program) as began:
                wait(lambda: lines(receipts) >= changes)
                seconds = time.monotonic() - began
        ratio = ran.seconds / seconds
        return [
            Result(
                f"{name} ({changes / seconds:,.0f}/s and {changes / ran.seconds:,.0f}/s)",
                f"{ratio:.2f}",
                "≥ 0.10",
                ratio >= 0.1,
            )
        ]


def budget(folder: Path, prospects: int = 240) -> list[Result]:
    """A backlog of four windows: requests in the fullest of all windows, and in those it took."""
    name = f"Requests in the fullest window ÷ allowance, on Prism, {prospects} prospects"
    with running_emulator() as emulator:
        program = prism.built()
        if emulator is None or program is None:
            return [unmeasured(name, prism.HOW_TO if emulator else HOW_TO)]
        (segment,) = segments(1)
        options = SandboxOptions(
            prospects=prospects, limit=ALLOWANCE, hour=WINDOW_SECONDS, window="sliding"
        )
        with (
            running_sandbox(options) as outreach,
            emulator.channel(ack_deadline_seconds=60) as channel,
        ):
            channel.publish(*[flat(each, segment) for each in range(1, prospects + 1)])
            file_of = destination(
                folder,
                outreach.url,
                {segment: 4},
                requests=ALLOWANCE,
                per_seconds=WINDOW_SECONDS,
                hold_seconds=0.5,
            )
            receipts = folder / "budget.jsonl"
            with streaming(emulator, channel.subscription, file_of, receipts, program):
                wait(lambda: lines(receipts) >= prospects)
            arrivals = sorted(each.started_at for each in outreach.requests())
            throttled = sum(each.status == 429 for each in outreach.requests())
        fullest = max(
            sum(start <= other < start + WINDOW_SECONDS for other in arrivals) for start in arrivals
        )
        windows = (arrivals[-1] - arrivals[0]) / WINDOW_SECONDS
        least = len(arrivals) / ALLOWANCE - 1
        return [
            Result(
                f"{name} ({throttled} of {len(arrivals)} answered 429)",
                f"{fullest / ALLOWANCE:.2f}",
                "≤ 1.00",
                fullest <= ALLOWANCE and not throttled,
            ),
            Result(
                f"Windows that this took ÷ the fewest that it can ({windows:.1f} and {least:.1f})",
                f"{windows / least:.2f}",
                "≤ 1.25",
                windows / least <= 1.25,
            ),
        ]


@contextmanager
def streaming(
    emulator: Emulator, subscription: str, destination_file: str, receipts: Path, program: Path
) -> Iterator[float]:
    """Runs a job on Prism until the ``with`` block ends; gives when it was started."""
    flags = [
        *("--input_subscription", subscription, "--receipts", str(receipts)),
        *("--dead_letters", str(receipts.with_suffix(".dead"))),
        *("--runner=PrismRunner", f"--prism_location={program}"),
    ]
    with running_program(emulator, destination_file, flags, receipts.with_suffix(".log")) as job:
        yield job.began


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait(done: Callable[[], bool]) -> None:
    """Until something is so.

    Raises:
      RuntimeError: it took too long.
    """
    until = time.monotonic() + LONGEST_SECONDS
    while not done():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {LONGEST_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
