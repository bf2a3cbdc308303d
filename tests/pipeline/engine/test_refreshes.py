"""A full refresh takes effect when all pages are in, and never empties an audience unasked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger import erasure, guard
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.store import connect, owned, transaction
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.in_process.ledgers import NOW, deliver
from tests.support.processes.program import replay, write_destination, write_lines

HOUR = 3_600.0


class Clock:
    now = NOW / 1e6

    def __call__(self) -> float:
        return self.now


@contextmanager
def loop(folder: Path, clock: Clock) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    write_destination(folder, "http://127.0.0.1:9", {"vip": 4})
    destination = load_destination(str(folder / "destination.yaml"))
    path = str(folder / "ledger.db")
    config = replace(engine_config(destination, Place.of(destination), None), clock=clock)
    with owned(path), closing(connect(path)) as ledger, closing(Scheduler(ledger, config)) as one:
        yield one, ledger


def page(
    number: int, pages: int, members: Iterable[int], session: str = "s1", action: str = "members"
) -> bytes:
    parameters = {
        "mixpanel_cohort_id": "vip",
        "mixpanel_session_id": session,
        "page_info": {"total_pages": pages, "page_count": number},
        "members": [{"mixpanel_distinct_id": str(each)} for each in members],
    }
    return json.dumps({"action": action, "parameters": parameters}).encode()


_numbers = iter(range(1, 1_000_000))


def post(scheduler: Scheduler, ledger: sqlite3.Connection, *bodies: bytes, at: int = NOW) -> None:
    for body in bodies:
        number = next(_numbers)
        receive(ledger, [Message("/changes/m", f"m{number}", at + number, LIVE, body)], NOW)
    scheduler.take_in_messages()


def leaving(ledger: sqlite3.Connection) -> set[int]:
    rows = ledger.execute("SELECT outreach_id FROM waiting WHERE origin = 'exited'")
    return {each for (each,) in rows}


def held(ledger: sqlite3.Connection) -> list[tuple[int, int]]:
    return [(each.members, each.exits) for each in guard.holds(ledger)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Iterator[tuple[Scheduler, sqlite3.Connection]]:
    """A ledger that knows prospects 1 to 40 as members."""
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    with loop(tmp_path, clock) as (scheduler, ledger):
        post(scheduler, ledger, page(1, 1, range(1, 41), "s0"))
        deliver(ledger)
        yield scheduler, ledger


def test_who_is_on_no_page_leaves_once_all_pages_are_in_whatever_their_order(
    members: tuple[Scheduler, sqlite3.Connection],
) -> None:
    scheduler, ledger = members
    post(scheduler, ledger, page(3, 3, range(31, 38)), page(1, 3, range(1, 16)))
    assert leaving(ledger) == set()
    post(scheduler, ledger, page(3, 3, range(31, 38)))  # It comes twice.
    assert leaving(ledger) == set()

    post(scheduler, ledger, page(2, 3, range(16, 31)))

    assert leaving(ledger) == {38, 39, 40}
    assert held(ledger) == []
    post(scheduler, ledger, page(2, 3, [1]))
    assert leaving(ledger) == {38, 39, 40}, "a page that comes again after the end"


def test_who_entered_after_the_refresh_began_stays(
    members: tuple[Scheduler, sqlite3.Connection],
) -> None:
    scheduler, ledger = members
    post(scheduler, ledger, page(1, 2, range(1, 21)))
    post(scheduler, ledger, page(1, 1, [50], action="add_members"))
    post(scheduler, ledger, page(2, 2, range(21, 40)))

    assert leaving(ledger) == {40}


@pytest.mark.parametrize("rest", [range(0), range(1, 16)])
def test_an_empty_or_a_half_refresh_is_held_and_asked_about(
    members: tuple[Scheduler, sqlite3.Connection], rest: range
) -> None:
    scheduler, ledger = members
    post(scheduler, ledger, page(1, 1, rest))

    assert held(ledger) == [(40, 40 - len(rest))]


def test_even_a_small_audience_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    with loop(tmp_path, clock) as (scheduler, ledger):
        post(scheduler, ledger, page(1, 1, [1, 2, 3], "s0"))
        deliver(ledger)
        post(scheduler, ledger, page(1, 1, []))
        assert held(ledger) == [(3, 3)]


def test_a_refresh_whose_pages_do_not_come_is_dropped_and_told(
    members: tuple[Scheduler, sqlite3.Connection],
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler, ledger = members
    post(scheduler, ledger, page(1, 3, range(1, 16)), page(2, 3, range(16, 31)))
    clock.now += 25 * HOUR
    scheduler.take_in_messages()
    assert "a full refresh of vip is dropped: 1 of its 3 pages are missing" in caplog.text

    post(scheduler, ledger, page(3, 3, [31]), at=NOW + int(25 * HOUR * 1e6))
    assert leaving(ledger) == set()


def test_whoever_is_forgotten_is_on_no_page_that_is_kept(
    members: tuple[Scheduler, sqlite3.Connection],
) -> None:
    scheduler, ledger = members
    post(scheduler, ledger, page(1, 2, [7, 8]))
    with transaction(ledger):
        erasure.forget(ledger, 7, again=False)
    ((kept,),) = ledger.execute("SELECT members FROM refresh_pages WHERE members NOT NULL")
    assert json.loads(kept) == [8]


@pytest.mark.real
def test_a_mirrored_file_is_the_whole_audience(tmp_path: Path) -> None:
    def rows(*prospects: int) -> list[str]:
        return ["outreach_id", *map(str, prospects)]

    with running_sandbox(SandboxOptions(prospects=60)) as sandbox:
        write_destination(tmp_path, sandbox.url, {"vip": 4})
        write_lines(tmp_path / "all.csv", rows(*range(1, 41)))
        write_lines(tmp_path / "later.csv", rows(*range(6, 51)))
        write_lines(tmp_path / "half.csv", rows(*range(1, 11)))
        more = ["--ledger=l.db", "--mirror=vip"]
        assert replay(tmp_path, "all.csv", more=more).summary["delivered"] == 40

        rehearsed = replay(tmp_path, "later.csv", more=[*more, "--dry_run"])
        assert rehearsed.summary["delivered"] == 15
        ended = replay(tmp_path, "later.csv", more=more)
        assert (ended.status, ended.summary["delivered"]) == (0, 15)
        assert "5 members are not in the files and leave" in ended.stderr
        values = {each: one.get("custom4") for each, one in sandbox.prospects().items()}
        assert {each for each, value in values.items() if value == "exited"} == set(range(1, 6))
        assert {each for each, value in values.items() if value == "realized"} == set(range(6, 51))

        stopped = replay(tmp_path, "half.csv", more=more)
        assert (stopped.status, stopped.summary["kept"]) == (1, 45)
        assert "audience vip: 40 of its 50 known members leave at once" not in stopped.stderr
        assert "leave at once, so it is held" in stopped.stderr
    wrong = replay(tmp_path, "all.csv", more=["--mirror=vip"])
    assert (wrong.status, "--mirror needs --ledger" in wrong.stderr) == (2, True)
    near = replay(tmp_path, "all.csv", more=["--ledger=l.db", "--mirror=vlp"])
    assert (near.status, "did you mean 'vip'" in near.stderr) == (2, True)
