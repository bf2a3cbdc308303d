"""A ledger stays small: weeks on a clock that runs fast."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from pipeline.engine.maintenance import PRUNE_SECONDS, Pruning
from pipeline.ledger import store
from pipeline.ledger.inbox import LIVE, Message, next_arrivals, receive, taken_in
from pipeline.ledger.store import looked_at, shrink, transaction
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.in_process.ledgers import NOW, arrive, deliver, member, new_ledger
from tests.support.processes.program import replay, write_destination, write_lines

HOUR = 3600.0
PROSPECTS = 1_500
AN_HOUR = 120
"""Changes, and messages."""


class Week:
    """A ledger under a steady load, kept small as the job keeps it."""

    def __init__(self, folder: Path, ledger: sqlite3.Connection, keep_days: float) -> None:
        write_destination(
            folder,
            "https://api.outreach.io",
            {"a": 4},
            delivery={"keep_days": keep_days, "remember_days": keep_days},
        )
        self.ledger = ledger
        self.now = NOW / 1e6
        self.source = random.Random(1)
        destination = load_destination(str(folder / "destination.yaml"))
        clock: Callable[[], float] = lambda: self.now  # noqa: E731 - read by another
        self.pruning = Pruning(ledger, destination, [], clock)
        self.numbers = iter(range(10**9))

    @property
    def megabytes(self) -> float:
        """The file's size, with all in it that was committed."""
        self.ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = self.ledger.execute("PRAGMA page_count").fetchone()
        return pages * 4096 / 1e6

    def work(self, hours: int, changes: int = AN_HOUR) -> None:
        for _ in range(hours):
            now = round(self.now * 1e6)
            body = b'{"outreach_id": 1, "segment": "a", "status": "realized"}' * 4
            some = [Message("s", str(next(self.numbers)), now, LIVE, body) for _ in range(changes)]
            receive(self.ledger, some, now)
            while places := next_arrivals(self.ledger, LIVE, changes)[1]:
                with transaction(self.ledger):
                    taken_in(self.ledger, places)
            statuses = self.source.choices(("realized", "exited"), k=changes)
            prospects = self.source.choices(range(1, PROSPECTS + 1), k=changes)
            pairs = zip(prospects, statuses, strict=True)
            arrive(self.ledger, [member(*each, time=now) for each in pairs], now=now)
            self.ledger.execute("DELETE FROM held")
            deliver(self.ledger, now=now)
            self.now += HOUR
            self.upkeep()

    def upkeep(self) -> None:
        for _ in range(20):
            self.pruning.look_after()
            shrink(self.ledger)


def test_after_a_steady_week_it_is_as_large_as_after_three_days(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(24 * 2)
        after_two_days = week.megabytes
        week.work(24)
        after_three_days = week.megabytes
        week.work(24 * 4)
        assert week.megabytes <= after_three_days * 1.05
        assert after_three_days <= after_two_days * 1.1
        (oldest,) = ledger.execute("SELECT min(recorded_at) FROM receipts").fetchone()
        assert week.now - oldest / 1e6 < 25.1 * HOUR
        (oldest,) = ledger.execute("SELECT min(received_at) FROM inbox").fetchone()
        assert week.now - oldest / 1e6 < 25.1 * HOUR


def test_the_id_of_a_message_takes_no_more_room_the_larger_its_body_was(tmp_path: Path) -> None:
    def pages_in_use(size: int) -> int:
        folder = tmp_path / str(size)
        folder.mkdir()
        numbers = iter(range(10**6))
        with new_ledger(folder) as ledger:
            for _ in range(10):
                some = [Message("s", str(next(numbers)), 1, LIVE, b"x" * size) for _ in range(300)]
                receive(ledger, some, 1)
                with transaction(ledger):
                    taken_in(ledger, next_arrivals(ledger, LIVE, 300)[1])
            (pages,) = ledger.execute("PRAGMA page_count").fetchone()
            (free,) = ledger.execute("PRAGMA freelist_count").fetchone()
            return int(pages - free)

    assert pages_in_use(2_000) <= pages_in_use(20) * 1.1


def test_without_upkeep_the_same_week_would_grow_it_without_end(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=3_650)
        week.work(24)
        after_a_day = week.megabytes
        week.work(24)
        assert week.megabytes > after_a_day * 1.4


def test_what_a_backlog_took_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SPARE_PAGES", 64)
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(30)
        before = week.megabytes
        week.work(1, changes=15_000)
        with_backlog = week.megabytes
        assert with_backlog > before * 3
        week.work(30)
        assert week.megabytes < before * 1.6


def test_what_comes_and_goes_all_day_is_not_given_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ledger = stack.enter_context(new_ledger(tmp_path))
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(3)
        ledger.execute("DELETE FROM receipts")
        assert not shrink(ledger)


def test_history_is_looked_through_every_few_minutes_and_not_all_the_time(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(1)
        asked: list[str] = []
        ledger.set_trace_callback(asked.append)
        for _ in range(100):
            week.now += PRUNE_SECONDS / 50
            week.pruning.look_after()
        assert 1 <= sum("DELETE FROM inbox" in each for each in asked) <= 3


def line(prospect: int) -> str:
    return json.dumps({"outreach_id": prospect, "segment": "a", "status": "realized"})


@pytest.mark.real
def test_a_replay_leaves_what_is_too_old_out_of_its_ledger(tmp_path: Path) -> None:
    with running_sandbox(SandboxOptions(prospects=60)) as sandbox:
        keeps = {"keep_days": 30, "remember_days": 60}
        write_destination(tmp_path, sandbox.url, {"a": 4}, delivery=keeps)
        for number, prospects in enumerate((range(1, 21), range(21, 41), range(41, 61))):
            write_lines(tmp_path / f"{number}.jsonl", [*map(line, prospects), "{"])

        def told(number: int) -> tuple[list[int], list[int], list[int]]:
            """Prospects of the ledger's receipts and known values, and ids of dead letters."""
            ended = replay(tmp_path, f"{number}.jsonl", more=["--ledger=ledger.db"])
            assert ended.status == 3
            assert ended.summary["delivered"] == 20
            with looked_at(str(tmp_path / "ledger.db")) as ledger:
                receipts = ledger.execute("SELECT outreach_id FROM receipts ORDER BY 1")
                known = ledger.execute("SELECT outreach_id FROM known ORDER BY 1")
                letters = ledger.execute("SELECT id FROM dead_letters ORDER BY 1")
                return tuple([row[0] for row in found] for found in (receipts, known, letters))

        assert told(0) == ([*range(1, 21)], [*range(1, 21)], [1])
        age(tmp_path / "ledger.db", days=31)
        assert told(1) == ([*range(21, 41)], [*range(1, 41)], [2])
        age(tmp_path / "ledger.db", days=31)
        assert told(2) == ([*range(41, 61)], [*range(21, 61)], [3])


def age(path: Path, days: int) -> None:
    """All in a ledger is so much older from now on."""
    micros = days * 86_400_000_000
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("UPDATE receipts SET recorded_at = recorded_at - ?", (micros,))
        ledger.execute("UPDATE dead_letters SET recorded_at = recorded_at - ?", (micros,))
        ledger.execute("UPDATE known SET heard_at = heard_at - ?", (micros,))


def test_tidying_removes_all_that_is_too_old_and_gives_the_disk_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SPARE_PAGES", 64)
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(1, changes=25_000)
        before = week.megabytes
        week.now += 25 * HOUR
        week.pruning.tidy(600.0, lambda: False)
        assert ledger.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
        assert ledger.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
        assert week.megabytes < before * 0.2


def test_whoever_waits_for_the_end_of_tidying_does_not_wait_for_long(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger:
        week = Week(tmp_path, ledger, keep_days=1)
        week.work(1, changes=25_000)
        week.now += 25 * HOUR
        asked = iter((False, True, True))
        week.pruning.tidy(0.0, lambda: next(asked))
        (left,) = ledger.execute("SELECT count(*) FROM inbox").fetchone()
        assert left == 15_000
