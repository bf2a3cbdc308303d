"""The operator's page over a ledger that holds a million receipts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import PROGRAM, ROOT, Result
from pipeline.ledger.kinds import Kind, numbers
from pipeline.ledger.store import connect, owned

RECEIPTS = 1_000_000
AUDIENCES = 20
OUTCOMES = ["delivered"] * 70 + ["unchanged"] * 15 + ["superseded"] * 13 + ["rejected"] * 2
WEEK = 7 * 86_400
USERS = ("ops", "sales")
REQUESTS = 300
AIM = 0.3
"""Seconds within which the page answers."""


def kind_of(number: int) -> Kind:
    """Of which audience, field and outcome a receipt is."""
    place = number % AUDIENCES
    return Kind(f"segment-{place}", f"custom{place + 1}", OUTCOMES[number % len(OUTCOMES)])


def fill(path: Path) -> None:
    """Makes a ledger that has worked for a week."""
    now = round(time.time() * 1e6)
    step = WEEK * 1_000_000 // RECEIPTS
    with owned(str(path)), closing(connect(str(path))) as connection:
        connection.execute("BEGIN")
        kinds = numbers(connection, map(kind_of, range(AUDIENCES * len(OUTCOMES))))
        rows = (
            (
                f"change-{number}",
                number % 100_000 + 1,
                kind_of(number).segment,
                kind_of(number).field,
                '"realized"',
                now - (RECEIPTS - number) * step - 3_000_000,
                kind_of(number).outcome,
                now - (RECEIPTS - number) * step,
                now - (RECEIPTS - number) * step - 2_000_000,
                kinds[kind_of(number)],
            )
            for number in range(RECEIPTS)
        )
        connection.executemany(
            "INSERT INTO receipts (change_id, outreach_id, segment, field, value, event_time,"
            " outcome, recorded_at, arrived_at, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.executemany(
            "INSERT INTO users (name, requests, per_seconds, reserve) VALUES (?, 10000, 3600, 500)",
            ((user,) for user in USERS),
        )
        connection.executemany(
            "INSERT INTO spends (user, minute, began, requests, withheld) VALUES (?, ?, 1, 99, 0)",
            ((user, now // 60_000_000 - minute) for user in USERS for minute in range(WEEK // 60)),
        )
        connection.execute("COMMIT")


@contextmanager
def opened(ledger: Path) -> Iterator[str]:
    """The page as a process of its own; gives its address."""
    process = subprocess.Popen(
        [*PROGRAM, "page", "--ledger", str(ledger), "--port", "0"],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = next(each for each in process.stdout if "http://" in each)
        yield next(word for word in line.split() if word.startswith("http://")).rstrip(".,;/")
    finally:
        process.terminate()
        process.communicate()


def answers(url: str, path: str, times: int) -> list[float]:
    """Seconds that each of some requests took, sorted."""
    parts = urlsplit(url)
    found: list[float] = []
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
        for _ in range(times):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path} was answered {answer.status}")
            found.append(time.perf_counter() - began)
            time.sleep(0.1)
    return sorted(found)


def page(folder: Path) -> list[Result]:
    """Asks for the state again and again, over several recounts, and for receipts."""
    ledger = folder / "million.db"
    fill(ledger)
    with opened(ledger) as url:
        (first,) = answers(url, "/api/status", 1)
        status = answers(url, "/api/status", REQUESTS)
        asked = {
            "the latest": answers(url, "/api/receipts", 50),
            "a prospect's": answers(url, "/api/receipts?prospect=77", 50),
            "an audience's": answers(url, "/api/receipts?segment=segment-3", 50),
            "those of an outcome that never was": answers(
                url, "/api/receipts?outcome=deferred", 50
            ),
            "those of an audience that never was": answers(url, "/api/receipts?segment=none", 50),
            "those of an audience with an outcome that it never had": answers(
                url, "/api/receipts?segment=segment-3&outcome=rejected", 50
            ),
            "those of a prospect that never was": answers(
                url, "/api/receipts?prospect=999999999", 50
            ),
        }
    late = status[round(0.99 * len(status)) - 1]
    return [
        Result("the first answer, which counts all receipts", f"{first:.1f} s", "≤ 5 s", first < 5),
        Result(
            f"the state, {RECEIPTS:,} receipts: slowest of 99 in 100",
            f"{late * 1e3:.0f} ms",
            f"≤ {AIM * 1e3:.0f} ms",
            late <= AIM,
        ),
        *(
            Result(
                f"receipts, {name}: slowest",
                f"{took[-1] * 1e3:.0f} ms",
                "≤ 300 ms",
                took[-1] <= AIM,
            )
            for name, took in asked.items()
        ),
    ]
