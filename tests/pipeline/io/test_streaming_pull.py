"""Pulling a subscription: what a process pulled and did not read is there for the next one."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import pubsub_ingest
from pipeline.engine.pubsub_ingest import Subscription
from pipeline.io import streaming_pull
from pipeline.io.streaming_pull import StreamingPull, end_pull
from pipeline.ledger.store import owned
from tests.support.servers.pubsub_emulator import Channel, Emulator, bodies
from tests.support.servers.sandbox_client import wait_for

pytestmark = [pytest.mark.pubsub, pytest.mark.real]

SOON = 8.0
"""Less than a lease of either pull, in seconds."""


@pytest.fixture(autouse=True)
def on_the_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.variables.items():
        monkeypatch.setenv(name, value)


def ending_late(
    channel: Channel, pulled: Callable[[], queue.SimpleQueue[Any]]
) -> Callable[[Future[Any], float], None]:
    """Ends a pull just after one more message came."""

    def end(pull: Future[Any], seconds: float) -> None:
        channel.publish("late")
        wait_for(lambda: not pulled().empty())
        end_pull(pull, seconds)

    return end


def test_a_message_that_comes_while_a_pull_is_closed_is_delivered_again_at_once(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = StreamingPull(channel.subscription)
    channel.publish("read")
    read = wait_for(pull.next)
    monkeypatch.setattr(streaming_pull, "end_pull", ending_late(channel, lambda: pull._pulled))

    pull.close()
    pull.acknowledge([read])

    assert bodies(channel.take(SOON)) == ["late"]


def test_what_a_reader_gives_back_after_its_pull_was_closed_is_delivered_again_at_once(
    channel: Channel,
) -> None:
    pull = StreamingPull(channel.subscription)
    channel.publish("unread")
    read = wait_for(pull.next)

    pull.close()
    pull.give_back([read])

    assert bodies(channel.take(SOON)) == ["unread"]


def test_a_message_that_comes_while_an_inbox_is_closed_is_delivered_again_at_once(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "ledger.db")
    with owned(path):
        inbox = Subscription(channel.subscription, path, lambda: None)
        inbox.open()
        channel.publish("kept")
        wait_for(lambda: inbox.messages)
        monkeypatch.setattr(pubsub_ingest, "end_pull", ending_late(channel, lambda: inbox._pulled))

        inbox.close()

    assert bodies(channel.take(SOON)) == ["late"]
