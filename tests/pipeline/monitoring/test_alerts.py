"""Alerts: a person is told once of what needs one, and once that it is over."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.ledger import users
from pipeline.ledger.queries.snapshot_reader import read_snapshot
from pipeline.ledger.store import connect, transaction
from pipeline.monitoring import alerts as alerting
from pipeline.monitoring.alerts import CHECK_SECONDS, RETRY_SECONDS, Alerts
from pipeline.monitoring.webhook import Webhook, escaped
from tests.support.in_process.ledgers import (
    HOUR,
    NOW,
    SECONDS,
    arrive,
    deliver,
    member,
    new_ledger,
)
from tests.support.servers.sandbox_client import wait_for
from tests.support.servers.webhook import receiving

pytestmark = pytest.mark.real
PROBLEM = "user 'ops': the token is refused; run connect --user ops"


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


def test_a_look_from_another_thread_does_not_disturb_the_alerts(tmp_path: Path) -> None:
    with scene(tmp_path, None) as it, closing(connect(str(tmp_path / "ledger.db"))) as other:
        it.pause()
        with transaction(other):
            found = read_snapshot(it.ledger, SECONDS)
        assert [user.paused for user in found.users] == [PROBLEM]
