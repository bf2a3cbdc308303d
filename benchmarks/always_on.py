"""The always-on job: into the inbox, through the loop, from publish to PATCH, and a backlog.

The aims: to keep messages costs a client of Pub/Sub no more than as much again as to pull them,
and hardly any time. To commit each step to the disk costs no more than a quarter of a replay's
speed. Half a second is what people take for at once, and a second for soon. On the smallest
machine that is asked for, of one core and 512 MB, a job that trickles leaves three quarters of the
core and half of the memory. A million waiting changes take 400 MB of disk, are taken in within two
minutes, and are counted as fast as `status --watch` looks again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from benchmarks.job import Job, fill, running
from benchmarks.measure import PROGRAM, Result, destination, replay, run, sandbox
from pipeline.ledger.inbox import unread
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import looked_at
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.support.data.trace import profile, segments
from tests.support.servers.pubsub_emulator import HOW_TO, Emulator, running_emulator

MOMENT = "2026-01-02T03:04:05Z"
PULL_SECONDS = 60.0
"""After which a Pub/Sub that is slow is not waited for."""
IDLE_SECONDS = 15.0
HOLD_SECONDS = 5.0
"""As a destination file has it that says nothing."""
A_WHILE_SECONDS = 600.0
"""After which a job is not waited for."""
TURNS = 2
BACKLOG_REQUESTS = 100
"""What a job with a backlog may send, so that there is one."""
MEMBERSHIPS = 10
"""Changes in each message of a backlog: a profile's."""


def inbox(folder: Path, messages: int = 20_000) -> list[Result]:
    """From a subscription to the disk, against a client that acknowledges and keeps nothing."""
    name = "Messages a second into the inbox ÷ a bare pull that keeps nothing"
    with running_emulator() as emulator:
        if emulator is None:
            return [unmeasured(name)]
        (segment,) = segments(1)
        bodies = [flat(prospect, segment) for prospect in range(1, messages + 1)]
        came = {}
        for kept in ("nowhere", "inbox"):
            with emulator.channel(ack_deadline_seconds=60) as channel:
                channel.publish(*bodies)
                wanted = [channel.subscription, str(messages), str(PULL_SECONDS)]
                ledger = [str(folder / "inbox.db")] if kept == "inbox" else []
                command = [sys.executable, "-m", "benchmarks.pull", *wanted, *ledger]
                came[kept] = json.loads(run(command, emulator.variables).output)
        rates = {kept: found["messages"] / found["seconds"] for kept, found in came.items()}
        costs = {
            kept: found["processor_seconds"] / found["messages"] * 1e3
            for kept, found in came.items()
        }
        ratio = rates["inbox"] / rates["nowhere"]
        cost = costs["inbox"] / costs["nowhere"]
        return [
            Result(
                f"{name} ({messages:,} messages from {emulator.name}, which is what takes the"
                f" time: {rates['inbox']:,.0f}/s and {rates['nowhere']:,.0f}/s)",
                f"{ratio:.2f}",
                "≥ 0.80",
                ratio >= 0.8,
            ),
            Result(
                "Processor time of a message into the inbox ÷ of a bare pull"
                f" ({costs['inbox']:.2f} ms and {costs['nowhere']:.2f} ms)",
                f"{cost:.2f}",
                "≤ 2.00",
                cost <= 2.0,
            ),
        ]


def loop(folder: Path, prospects: int = 40_000) -> list[Result]:
    """From the inbox to Outreach, where nothing is held and no budget ends.

    Against a replay of the same changes; what it keeps is in a temporary folder and need not
    outlive the machine. Both are whole processes, from their start.
    """
    name = f"Speed of the loop, from inbox to Outreach ÷ replay without a ledger, {prospects:,}"
    with running_emulator() as emulator:
        if emulator is None:
            return [unmeasured(name)]
        (segment,) = segments(1)
        bodies = [flat(prospect, segment) for prospect in range(1, prospects + 1)]
        path = folder / "loop.jsonl"
        path.write_text("".join(body + "\n" for body in bodies), encoding="utf-8")
        took: dict[str, list[float]] = {"loop": [], "replay": []}
        for turn in range(TURNS):
            for way, seconds in took.items():
                with sandbox("--limit", "0", "--prospects", str(prospects)) as url:
                    file_of = destination(folder, url, {segment: 4}, hold_seconds=0)
                    if way == "replay":
                        ran = replay(str(path), "--destination", file_of)
                        assert ran.summary["delivered"] == prospects
                        seconds.append(ran.seconds)
                        continue
                    ledger = folder / f"loop-{turn}.db"
                    fill(ledger, iter(bodies))
                    with (
                        emulator.channel() as channel,
                        running(emulator, channel.subscription, file_of, ledger) as job,
                    ):
                        done = partial(delivered, job, prospects)
                        seconds.append(job.until(done, A_WHILE_SECONDS))
        best = {way: min(seconds) for way, seconds in took.items()}
        ratio = best["replay"] / best["loop"]
        return [
            Result(
                f"{name} PATCHes ({prospects / best['loop']:,.0f}/s and"
                f" {prospects / best['replay']:,.0f}/s, the better of {TURNS} each)",
                f"{ratio:.2f}",
                "≥ 0.75",
                ratio >= 0.75,
            )
        ]


def latency(folder: Path, messages: int = 100) -> list[Result]:
    """From publish to PATCH with one message a second: as it is, and with nothing held."""
    holds = {"held": HOLD_SECONDS, "at once": 0.0}
    with running_emulator() as emulator, ExitStack() as stack:
        if emulator is None:
            return [unmeasured("Seconds from publish to PATCH at 1 message a second")]
        (segment,) = segments(1)
        places = {}
        for place, (name, hold_seconds) in enumerate(holds.items()):
            server = stack.enter_context(running_sandbox(SandboxOptions(prospects=messages + 1)))
            channel = stack.enter_context(emulator.channel(ack_deadline_seconds=60))
            own = folder / str(place)
            own.mkdir()
            file_of = destination(own, server.url, {segment: 4}, hold_seconds=hold_seconds)
            job = stack.enter_context(
                running(emulator, channel.subscription, file_of, own / "latency.db")
            )
            places[name] = (server, channel, job)
        for server, channel, job in places.values():
            job.until(job.pulls, A_WHILE_SECONDS)
            channel.publish(flat(messages + 1, segment))  # So that connections are there.
            job.until(partial(are_patched, server, 1), A_WHILE_SECONDS)
        idle = shares({name: job for name, (_, _, job) in places.items()}, IDLE_SECONDS)
        published: dict[str, dict[int, float]] = {name: {} for name in places}
        before = {name: job.processor_seconds for name, (_, _, job) in places.items()}
        began = time.monotonic()
        for prospect in range(1, messages + 1):
            for part, (name, (_, channel, _)) in enumerate(places.items()):
                # Each in its own half of the second.
                time.sleep(max(0.0, began + prospect + part / 2 - time.monotonic()))
                published[name][prospect] = time.time()
                channel.publish(flat(prospect, segment))
        busy = {
            name: share(before[name], job.processor_seconds, time.monotonic() - began)
            for name, (_, _, job) in places.items()
        }
        results = []
        for name, (server, _, job) in places.items():
            job.until(partial(are_patched, server, messages + 1), A_WHILE_SECONDS)
            arrived = patched(server)
            waits = [arrived[prospect] - at for prospect, at in published[name].items()]
            results.append(waited(name, holds[name], waits, emulator))
        results += processor(idle, busy)
        return results


def waited(name: str, hold_seconds: float, waits: list[float], emulator: Emulator) -> Result:
    """Half of all and all but one in a hundred, against the hold and what else may pass."""
    half, most = median(waits), quantiles(waits, n=100, method="inclusive")[98]
    aims = (hold_seconds + 0.5, hold_seconds + 1.0)
    return Result(
        f"Seconds from publish to PATCH, half of them / 99 in 100: {len(waits)} messages, 1 a"
        f" second, {name} (`hold_seconds` {hold_seconds:g}), by {emulator.name}",
        f"{half:.2f} / {most:.2f}",
        f"≤ {aims[0]:.2f} / {aims[1]:.2f}",
        half <= aims[0] and most <= aims[1],
    )


def backlog(folder: Path) -> list[Result]:
    """What waits: bytes of the file and of memory, and how soon `status` has counted it."""
    sizes = (10_000, 100_000, 1_000_000)
    name = f"with {' / '.join(f'{size:,}' for size in sizes)} waiting changes"
    with running_emulator() as emulator:
        if emulator is None:
            return [unmeasured(f"File and memory {name}")]
        bytes_each, peaks, rates = [], [], []
        for size in sizes:
            ledger = folder / f"{size}.db"
            audiences = {segment: 4 + place for place, segment in enumerate(segments(MEMBERSHIPS))}
            prospects = range(1, size // MEMBERSHIPS + BACKLOG_REQUESTS + 1)
            fill(ledger, (member(prospect, list(audiences)) for prospect in prospects))
            options = SandboxOptions(limit=0, prospects=len(prospects))
            with running_sandbox(options) as server:
                file_of = destination(
                    folder, server.url, audiences, requests=BACKLOG_REQUESTS, hold_seconds=0
                )
                with (
                    emulator.channel() as channel,
                    running(emulator, channel.subscription, file_of, ledger) as job,
                ):
                    job.until(job.pulls, A_WHILE_SECONDS)
                    rested = time.monotonic()
                    job.until(partial(taken_in, job), A_WHILE_SECONDS)
                    rates.append(size / (time.monotonic() - rested))
                    job.until(partial(spent, job), A_WHILE_SECONDS)
            with looked_at(str(ledger)) as connection:
                (waiting,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
            assert waiting >= size * 0.9
            bytes_each.append(ledger.stat().st_size / waiting)
            peaks.append(job.peak_bytes)
        asked = [*PROGRAM, "status", "--ledger", str(ledger), "--json"]
        status_seconds = median(run(asked).seconds for _ in range(3))
        more = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
        return [
            Result(
                f"Bytes of the file a waiting change, with its part of the ids of messages, {name}",
                " / ".join(f"{each:,.0f}" for each in bytes_each),
                "≤ 400 for the last",
                bytes_each[-1] <= 400,
            ),
            Result(
                f"MiB of memory of `run` at most, {name} ({more:,.0f} B for each more)",
                " / ".join(f"{peak / 2**20:,.0f}" for peak in peaks),
                "≤ 256",
                max(peaks) <= 256 * 2**20,
            ),
            Result(
                f"Changes a second taken in from the inbox, {name}, {MEMBERSHIPS} a message",
                " / ".join(f"{rate:,.0f}" for rate in rates),
                "≥ 10,000 for the last",
                rates[-1] >= 10_000,
            ),
            Result(
                f"Seconds of `status`, a whole process, with {sizes[-1]:,} waiting changes",
                f"{status_seconds:.2f}",
                "≤ 2.00",
                status_seconds <= 2.0,
            ),
        ]


def delivered(job: Job, changes: int) -> bool:
    """Whether so many are."""
    return job.totals()["delivered"] == changes


def taken_in(job: Job) -> bool:
    """Whether nothing is left in the inbox."""
    with looked_at(str(job.ledger)) as connection:
        return unread(connection)[0] == 0


def spent(job: Job) -> bool:
    """Whether the budget is."""
    with looked_at(str(job.ledger)) as connection:
        return all(not user.available for user in read_snapshot(connection, time.time()).users)


def patched(server: Sandbox) -> dict[int, float]:
    """When the first PATCH of each prospect arrived, in epoch seconds."""
    found: dict[int, float] = {}
    for one in server.requests():
        if one.method == "PATCH" and one.status == 200:
            found.setdefault(int(one.path.rpartition("/")[2]), one.started_at)
    return found


def are_patched(server: Sandbox, prospects: int) -> bool:
    """Whether so many were."""
    return len(patched(server)) >= prospects


def shares(jobs: dict[str, Job], seconds: float) -> dict[str, float | None]:
    """Of a core, that each job takes in the next seconds."""
    before = {name: job.processor_seconds for name, job in jobs.items()}
    time.sleep(seconds)
    return {name: share(before[name], job.processor_seconds, seconds) for name, job in jobs.items()}


def share(before: float | None, after: float | None, seconds: float) -> float | None:
    """Of a core."""
    return None if before is None or after is None else (after - before) / seconds


def processor(idle: dict[str, float | None], busy: dict[str, float | None]) -> Iterator[Result]:
    """Results of both."""
    for what, found, aim in (("nothing to do", idle, 0.05), ("1 message a second", busy, 0.25)):
        name = f"Of a core, by `run` with {what}, {' / '.join(found)}"
        values = [value for value in found.values() if value is not None]
        if len(values) < len(found):
            yield unmeasured(name, "this system does not say")
        else:
            figure = " / ".join(f"{value:.2f}" for value in values)
            yield Result(name, figure, f"≤ {aim:.2f}", max(values) <= aim)


def unmeasured(name: str, why: str = HOW_TO) -> Result:
    """A row that says why it has no figure."""
    return Result(f"{name}: {why}", "-", "-", None)


def flat(prospect: int, segment: str) -> str:
    """A message with one change."""
    return json.dumps(
        {
            "outreach_id": prospect,
            "segment": segment,
            "status": "realized",
            "event_time": MOMENT,
        }
    )


def member(prospect: int, audiences: list[str]) -> str:
    """A message with a change for each audience."""
    return profile(prospect, dict.fromkeys(audiences, ("realized", MOMENT)))
