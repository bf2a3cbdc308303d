"""Who is away is named once, and once more when it is there again."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from grpc import ChannelConnectivity

from pipeline.destination.file import load_destination
from pipeline.destination.stage_config import Place
from pipeline.engine.config import engine_config
from pipeline.engine.scheduler import Scheduler
from pipeline.ledger.inbox import LIVE, Message, receive
from pipeline.ledger.store import connect, owned
from pipeline.monitoring.connectivity import AWAY_SECONDS, Connectivity, Troubles
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.support.data.three_audiences import NUMBERS, line
from tests.support.in_process.ledgers import NOW
from tests.support.processes.program import write_destination
from tests.support.servers.sandbox_client import Clock, free_port, wait_for


def test_a_service_is_named_that_was_away_for_longer_than_a_connection_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    rung: list[float] = []
    reach = Connectivity("Pub/Sub", clock, lambda: rung.append(clock.now))

    def look() -> list[str]:
        caplog.clear()
        reach.look()
        return caplog.messages

    reach.turned(ChannelConnectivity.CONNECTING)
    clock.now += AWAY_SECONDS
    assert look() == []
    reach.turned(ChannelConnectivity.TRANSIENT_FAILURE)
    assert reach.is_away
    assert look() == []
    clock.now += AWAY_SECONDS - 1
    reach.turned(ChannelConnectivity.CONNECTING)
    reach.turned(ChannelConnectivity.TRANSIENT_FAILURE)
    assert look() == []
    clock.now += 1
    assert look() == ["Pub/Sub cannot be reached; trying again"]
    assert look() == []
    reach.turned(ChannelConnectivity.READY)
    assert rung == [clock.now]
    assert not reach.is_away
    assert look() == ["Pub/Sub can be reached again"]
    assert look() == []
    reach.turned(ChannelConnectivity.TRANSIENT_FAILURE)
    reach.turned(ChannelConnectivity.READY)
    clock.now += 2 * AWAY_SECONDS
    assert look() == [], "a connection is renewed"


def test_each_user_in_trouble_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    troubles = Troubles()
    for now in ({}, {"a": "503"}, {"a": "timeout"}, {"a": "503", "b": "503"}, {"b": "503"}, {}):
        troubles.look(now)
    assert caplog.messages == [
        "user a: Outreach is in trouble: 503; trying again",
        "user b: Outreach is in trouble: 503; trying again",
        "user a: Outreach answers again",
        "user b: Outreach answers again",
    ]


@pytest.mark.real
def test_a_loop_says_what_its_users_meet_until_they_are_answered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_TOKEN", "t")
    there = SandboxOptions(prospects=9, port=free_port())
    url = f"http://127.0.0.1:{there.port}"
    write_destination(tmp_path, url, NUMBERS, delivery={"hold_seconds": 0, "in_flight": 2})
    destination = load_destination(str(tmp_path / "destination.yaml"))
    path = str(tmp_path / "ledger.db")
    job = replace(engine_config(destination, Place.of(destination), None), turn_seconds=0.2)
    with (
        owned(path),
        closing(connect(path)) as ledger,
        closing(Scheduler(ledger, job)) as scheduler,
    ):
        receive(ledger, [Message("s", str(n), NOW, LIVE, line(n).encode()) for n in (1, 2)], NOW)
        scheduler.take_in_messages()
        assert scheduler.troubles == {}

        wait_for(lambda: scheduler.deliver() and scheduler.troubles)

        assert list(scheduler.troubles) == ["ops"]
        assert "no connection to 127.0.0.1" in scheduler.troubles["ops"]
        with running_sandbox(there):
            wait_for(lambda: scheduler.deliver() and not scheduler.troubles)
