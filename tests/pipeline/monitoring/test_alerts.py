"""Alerts: a person is told once of what needs one, and once that it is over."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.ledger import guard, history, users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BACKFILL
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import connect, transaction
from pipeline.monitoring import alerts as alerting
from pipeline.monitoring.alert_rules import (
    BUDGET,
    KINDS,
    LATE,
    MASS_EXIT,
    PAUSED,
    REFUSED,
    conditions,
)
from pipeline.monitoring.alerts import CHECK_SECONDS, RETRY_SECONDS, Alerts
from pipeline.monitoring.webhook import Webhook, escaped
from tests.docs.test_docs import quoted, rows
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    arrive,
    become_members,
    deliver,
    member,
    new_ledger,
)
from tests.support.processes.program import ROOT
from tests.support.servers.sandbox_client import wait_for
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import DELIVERED, REJECTED, Outcome

pytestmark = pytest.mark.real

SECONDS = NOW / 1e6
PROBLEM = "user 'ops': the token is refused; run connect --user ops"


@dataclass
class Receiver:
    """A webhook server that keeps what it was sent."""

    url: str = ""
    bodies: list[object] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    status: int = 200
    hanging: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies if isinstance(body, dict)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.hanging.set()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.hanging.wait(30)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status < 300:
                receiver.bodies.append(json.loads(body))
                receiver.kinds.append(self.headers["Content-Type"])
            self.send_response(receiver.status)
            if receiver.status == 302:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.bodies.append("followed a redirect")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with closing_server(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as port:
        receiver.url = f"http://127.0.0.1:{port}/services/T0/secret-9f3c"
        yield receiver


@contextmanager
def closing_server(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Clock:
    def __init__(self) -> None:
        self.now = SECONDS

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Scene:
    """A ledger, its alerts, and a clock."""

    ledger: sqlite3.Connection
    path: str
    clock: Clock
    url: str | None
    alerts: Alerts = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        webhook = None if self.url is None else Webhook(self.url, timeout_seconds=5)
        self.alerts = Alerts(self.ledger, self.path, "Test audiences", webhook, self.clock)

    def check(self, seconds: float = CHECK_SECONDS + 0.1) -> None:
        """Some time goes by, and the loop comes round."""
        self.clock.pass_(seconds)
        self.alerts.check()

    def told(self) -> int:
        """The loop comes round until the webhook has answered everything; messages under way."""
        wait_for(lambda: self.check() or not self.alerts._under_way)
        return len(self.alerts._under_way)

    def pause(self, problem: str | None = PROBLEM) -> None:
        users.set_paused(self.ledger, "ops", problem, NOW)


@contextmanager
def scene(folder: Path, url: str | None) -> Iterator[Scene]:
    with new_ledger(folder) as ledger:
        yield Scene(ledger, "l.db", Clock(), url)


def test_one_message_when_it_begins_and_one_when_it_is_over(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        it.told()
        assert receiver.bodies == []
        it.pause()
        for _ in range(5):
            it.told()
        it.pause(None)
        for _ in range(5):
            it.told()
        begins, ends = receiver.texts
        assert begins == f"Test audiences: paused: {PROBLEM}; 0 prospects wait"
        assert ends.startswith("Test audiences: over after ")
        assert ends.endswith(begins.removeprefix("Test audiences: "))
        assert receiver.kinds == ["application/json"] * 2
        assert [set(body) for body in receiver.bodies if isinstance(body, dict)] == [{"text"}] * 2
        assert it.ledger.execute("SELECT count(*) FROM alerts").fetchone() == (0,)


def test_a_restart_repeats_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        it.pause()
        it.told()
        it.restart()
        it.told()
        assert len(receiver.texts) == 1
        it.restart()
        it.pause(None)
        it.told()
        assert len(receiver.texts) == 2
        it.restart()
        it.told()
        assert len(receiver.texts) == 2


def test_what_was_not_told_before_a_crash_is_told_after(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        receiver.status = 500
        it.pause()
        it.told()
        receiver.status = 200
        it.restart()
        it.told()
        assert len(receiver.texts) == 1


def test_a_webhook_that_fails_is_tried_again_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        it.pause()
        for status in (404, 302, 500, 200):
            receiver.status = status
            it.check(RETRY_SECONDS)
            it.told()
        assert len(receiver.texts) == len(receiver.bodies) == 1
    errors = [each.message for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "cannot be reached (it answered 404)" in errors[0]
    assert "secret-9f3c" not in caplog.text


def test_a_webhook_that_is_not_there_costs_the_loop_no_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver:
        gone = receiver.url
    with scene(tmp_path, gone) as it:
        it.pause()
        it.told()
    assert "ConnectionRefusedError" in caplog.text
    assert gone not in caplog.text
    assert gone not in repr(it.alerts)


def test_a_webhook_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        receiver.hanging.clear()
        it.pause()
        it.check()
        it.check()
        assert len(it.alerts._under_way) == 1
        receiver.hanging.set()
        it.told()
        assert len(receiver.texts) == 1


def test_what_is_over_before_anybody_could_be_told_is_not_told(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        receiver.status = 500
        it.pause()
        it.told()
        it.pause(None)
        it.check()
        receiver.status = 200
        it.check(RETRY_SECONDS)
        it.told()
        assert receiver.texts == []


def test_what_is_over_while_its_message_is_on_a_way_that_fails_is_not_told(
    tmp_path: Path,
) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        receiver.status = 500
        receiver.hanging.clear()
        it.pause()
        it.check()
        it.pause(None)
        it.check()
        receiver.hanging.set()
        it.told()
        receiver.status = 200
        it.check(RETRY_SECONDS)
        it.told()
        assert receiver.texts == []
        assert it.ledger.execute("SELECT count(*) FROM alerts").fetchone() == (0,)


def test_without_a_webhook_the_log_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with scene(tmp_path, None) as it:
        it.pause()
        it.check()
        it.check()
        it.pause(None)
        it.check()
        it.check()
    assert [each.message for each in caplog.records] == [
        f"alert: paused: {PROBLEM}; 0 prospects wait",
        "alert is over: paused ops",
    ]


def test_names_are_no_markup(tmp_path: Path) -> None:
    assert escaped("<!channel> & <http://x|y>") == "&lt;!channel&gt; &amp; &lt;http://x|y&gt;"
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        it.pause("user 'ops': <!channel>; mend it")
        it.told()
        assert "<!channel>" not in receiver.texts[0]


def test_what_is_measured_is_over_only_when_it_stays_away(tmp_path: Path) -> None:
    with receiving() as receiver, scene(tmp_path, receiver.url) as it:
        arrive(it.ledger, [member(1, "realized")], now=NOW - 3 * HOUR)
        it.told()
        assert len(receiver.texts) == 1
        for _ in range(10):
            deliver(it.ledger)
            it.told()
            arrive(it.ledger, [member(1, "existing")], now=NOW - 3 * HOUR)
            it.told()
            arrive(it.ledger, [member(1, "realized")], now=NOW - 3 * HOUR)
        assert len(receiver.texts) == 1
        deliver(it.ledger)
        it.told()
        it.check(301)
        it.told()
        assert len(receiver.texts) == 2


def test_looking_costs_a_fiftieth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(tmp_path, None) as it:
        looks = []

        def slow(connection: sqlite3.Connection, now: float) -> object:
            looks.append(now)
            found = read_snapshot(connection, now)
            it.clock.pass_(2.0)
            return found

        monkeypatch.setattr(alerting, "read_snapshot", slow)
        for _ in range(200):
            it.check(1.0)
        assert len(looks) == 2


def kinds(connection: sqlite3.Connection, now: float = SECONDS) -> dict[str, str]:
    return {each.kind: each.text for each in conditions(read_snapshot(connection, now), "l.db")}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with new_ledger(tmp_path) as connection:
        yield connection


def test_nothing_is_wrong_with_a_backlog_within_the_budget(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 100))
    arrive(ledger, [member(each, "existing") for each in range(1, 50)], now=NOW - HOUR)
    assert kinds(ledger) == {}


def spent(ledger: sqlite3.Connection, own: int, left: int) -> None:
    """We spent some requests, and Outreach says how many are left for an hour."""
    budget = Budget(BudgetTerms())
    budget.take(own, SECONDS - 60)
    for _ in range(own):
        limits = RateLimits(10_000, left, SECONDS + 3000)
        budget.learn(limits, SECONDS - 60, answers_when_sent=budget.answers)
    users.save_budget(ledger, "ops", budget)


def test_a_budget_that_others_spent_is_told_while_something_waits(
    ledger: sqlite3.Connection,
) -> None:
    spent(ledger, 100, 0)
    assert kinds(ledger) == {}
    arrive(ledger, [member(1, "realized")])
    assert "we spent 100 of our 9,500" in kinds(ledger)[BUDGET]
    spent(ledger, 100, 400)
    assert kinds(ledger) == {}


def test_a_budget_that_we_spent_ourselves_is_no_alert(ledger: sqlite3.Connection) -> None:
    arrive(ledger, [member(1, "realized")])
    spent(ledger, 9_500, 500)
    assert kinds(ledger) == {}
    # The server's hour and ours differ a little at their ends.
    spent(ledger, 9_400, 0)
    assert kinds(ledger) == {}


def answered(ledger: sqlite3.Connection, delivered: int, rejected: int, at: int = NOW) -> None:
    ended = [
        Outcome(DELIVERED, [member(1, "realized")] * delivered, at),
        Outcome(REJECTED, [member(2, "realized")] * rejected, at, "field_refused", "no", 422),
    ]
    with transaction(ledger):
        history.record(ledger, [each for each in ended if each.changes])


def test_a_share_of_refusals_is_told_where_there_are_enough_to_speak_of(
    ledger: sqlite3.Connection,
) -> None:
    answered(ledger, 1000, 19)
    assert kinds(ledger) == {}
    answered(ledger, 0, 200, at=NOW - 2 * HOUR)
    assert kinds(ledger) == {}
    answered(ledger, 0, 300)
    assert "319 of the last hour's 1,319 changes (of late: field_refused)" in kinds(ledger)[REFUSED]


def test_few_refusals_are_no_alert_whatever_their_share(ledger: sqlite3.Connection) -> None:
    answered(ledger, 0, 19)
    assert kinds(ledger) == {}


def test_a_live_change_that_waits_too_long_is_told_and_a_backfill_is_not(
    ledger: sqlite3.Connection,
) -> None:
    arrive(ledger, [member(1, "realized")], now=NOW - 9 * HOUR, lane=BACKFILL)
    assert kinds(ledger) == {}
    arrive(ledger, [member(2, "realized")], now=NOW - 3 * HOUR)
    assert "changes wait since 2027-01-15T05:00:00Z; 2 prospects wait" in kinds(ledger)[LATE]


def test_what_waits_for_a_person_is_not_told_twice(ledger: sqlite3.Connection) -> None:
    become_members(ledger, range(1, 21))
    exits = [member(each, "exited") for each in range(1, 21)]
    arrive(ledger, exits, now=NOW - 3 * HOUR, terms=GuardTerms())
    assert set(kinds(ledger)) == {MASS_EXIT}
    arrive(ledger, [member(30, "realized", "seg-b")], now=NOW - HOUR)
    assert set(kinds(ledger)) == {MASS_EXIT}
    with transaction(ledger):
        guard.release(ledger, "seg-a", NOW)
    assert set(kinds(ledger)) == {LATE}
    users.set_paused(ledger, "ops", PROBLEM, NOW)
    assert set(kinds(ledger)) == {PAUSED}


def test_a_mass_exit_is_told_with_the_command_that_lets_it_go(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 21))
    arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
    text = kinds(ledger)[MASS_EXIT]
    assert "audience Audience a: 20 of its 20 known members leave at once" in text
    assert text.endswith("outreach-activation release seg-a --ledger l.db")


def test_a_look_from_another_thread_does_not_disturb_the_alerts(tmp_path: Path) -> None:
    with scene(tmp_path, None) as it, closing(connect(str(tmp_path / "ledger.db"))) as other:
        it.pause()
        with transaction(other):
            found = read_snapshot(it.ledger, SECONDS)
        assert [user.paused for user in found.users] == [PROBLEM]


def test_every_alert_is_in_the_runbook() -> None:
    table = rows(ROOT / "docs" / "operations.md", "## Alerts")[1:]
    assert [quoted(row[0])[0] for row in table] == list(KINDS)
