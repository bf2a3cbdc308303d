"""The HTTP door: how soon it answers while a backlog is delivered, and how much it takes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import aiohttp

from benchmarks.measure import PROGRAM, ROOT, Result, destination, sandbox

SEGMENT = "5c8e1f0a-2d37-4b96-a1c4-7f3e90b2d865"
TOKEN = "bench"  # noqa: S105 - opens nothing
CLIENTS = 32
SECONDS = 6.0
BACKLOG = 20_000
"""Prospects that wait while answers are timed."""
RATE = 50
"""Requests a second while answers are timed, of ten profiles each."""
_prospects = count(1)


def profiles(some: int = 10) -> bytes:
    """A call of Experience Platform's: profiles that enter an audience."""
    membership = {"status": "realized", "lastQualificationTime": "2026-01-02T03:04:05Z"}
    return json.dumps(
        [
            {
                "identityMap": {"Oid": [{"id": str(next(_prospects))}]},
                "segmentMembership": {"ups": {SEGMENT: membership}},
                "person": {"name": {"firstName": "Ada"}},
            }
            for _ in range(some)
        ]
    ).encode()


@contextmanager
def door(folder: Path, url: str) -> Iterator[str]:
    """`run --listen` over a new ledger; gives its address."""
    path = Path(destination(folder, url, {SEGMENT: 4}, hold_seconds=0.0))
    said = json.loads(path.read_text("utf-8"))
    said["sources"] = [{"name": "aep", "auth": {"type": "bearer", "token_env": "BENCH_TOKEN"}}]
    path.write_text(json.dumps(said), encoding="utf-8")
    port, ledger = folder / "port", folder / f"door-{time.monotonic_ns()}.db"
    port.unlink(missing_ok=True)
    words = ("--destination", str(path), "--ledger", str(ledger), "--port_file", str(port))
    with subprocess.Popen(
        [*PROGRAM, "run", "--listen", "127.0.0.1:0", *words],
        cwd=ROOT,
        env={**os.environ, "OUTREACH_TOKEN": TOKEN, "BENCH_TOKEN": TOKEN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while not port.exists() or not port.read_text("utf-8").strip():
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port.read_text('utf-8').strip()}"
        finally:
            process.terminate()


@contextmanager
def bare(folder: Path, kind: str) -> Iterator[str]:
    """A bare handler; gives its address."""
    database = folder / f"bare-{time.monotonic_ns()}.db"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_door", kind, str(database)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> float:
    """Posts a body; returns the seconds until it was answered 200."""
    began = time.perf_counter()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with session.post(f"{url}/changes/aep", data=body, headers=headers) as answer:
        await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}")
    return time.perf_counter() - began


async def _flood(url: str) -> float:
    """Requests a second that are answered with all clients at work."""
    bodies = [profiles() for _ in range(200)]
    answered = 0

    async def client(session: aiohttp.ClientSession, first: int) -> None:
        nonlocal answered
        place = first
        while time.perf_counter() < until:
            await _post(session, url, bodies[place % len(bodies)])
            answered += 1
            place += 1

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        await _post(session, url, bodies[0])
        began = time.perf_counter()
        until = began + SECONDS
        await asyncio.gather(*(client(session, place * 7) for place in range(CLIENTS)))
        return answered / (time.perf_counter() - began)


async def _answer_times(url: str) -> Sequence[float]:
    """Seconds to each answer, at an even rate."""
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(_post(session, url, profiles(500)) for _ in range(BACKLOG // 500)))
        tasks: list[asyncio.Task[float]] = []
        began = time.perf_counter()
        for place in range(int(RATE * SECONDS)):
            await asyncio.sleep(max(0.0, began + place / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(_post(session, url, profiles())))
        return sorted(await asyncio.gather(*tasks))


def answers(folder: Path) -> list[Result]:
    """How soon requests are answered while a backlog is delivered."""
    with sandbox("--prospects", "100000", "--limit", "1000000") as url, door(folder, url) as at:
        times = asyncio.run(_answer_times(at))
    middle, late = times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000
    name = f"answer at {RATE} requests a second of 10 profiles, {BACKLOG:,} prospects waiting"
    return [
        Result(f"{name}: p50", f"{middle:.0f} ms", "", met=True),
        Result(f"{name}: p99", f"{late:.0f} ms", "≤ 200 ms", met=late <= 200),
    ]


def intake(folder: Path) -> list[Result]:
    """Requests a second into the ledger, over those of bare handlers."""
    with bare(folder, "row") as url:
        row = asyncio.run(_flood(url))
    with bare(folder, "none") as url:
        nothing = asyncio.run(_flood(url))
    # Nothing is delivered meanwhile: no Outreach is there.
    with door(folder, "http://127.0.0.1:9") as url:
        ours = asyncio.run(_flood(url))
    name = f"requests into the ledger with {CLIENTS} clients, {ours:,.0f} a second"
    return [
        Result(
            f"{name} ÷ one row and one transaction a request ({row:,.0f})",
            f"{ours / row:.2f}",
            "≥ 3",
            met=ours >= 3 * row,
        ),
        Result(
            f"{name} ÷ a handler that keeps nothing ({nothing:,.0f})",
            f"{ours / nothing:.2f}",
            "≥ 0.4",
            met=ours >= 0.4 * nothing,
        ),
    ]
