"""The Pub/Sub that tests have: a client that has gone gets nothing, as of the real one."""

from __future__ import annotations

import queue
import threading
import time

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import StreamingPullRequest

from tests.support.servers.pubsub_emulator import Channel
from tests.support.servers.pubsub_relay import Halves
from tests.support.servers.sandbox_client import wait_for

pytestmark = pytest.mark.real

LEASE_SECONDS = 30


class Stream:
    """A streaming pull that acknowledges all that comes."""

    def __init__(self, channel: Channel) -> None:
        self.bodies: list[str] = []
        self._told: queue.Queue[StreamingPullRequest | None] = queue.Queue()
        first = StreamingPullRequest(
            subscription=channel.subscription, stream_ack_deadline_seconds=LEASE_SECONDS
        )
        self._told.put(first)
        self._answers = channel.subscriber.streaming_pull(requests=iter(self._told.get, None))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Ends it as a client does that is in a hurry."""
        self._answers.cancel()
        self._told.put(None)
        self._thread.join()

    def _read(self) -> None:
        try:
            for answer in self._answers:
                self.bodies += [each.message.data.decode() for each in answer.received_messages]
                ids = [each.ack_id for each in answer.received_messages]
                self._told.put(StreamingPullRequest(ack_ids=ids))
        except GoogleAPICallError:
            return


@pytest.mark.pubsub
def test_what_is_published_after_a_client_has_gone_comes_to_the_next_at_once(
    channel: Channel,
) -> None:
    gone = Stream(channel)
    channel.publish("before")
    wait_for(lambda: gone.bodies)
    gone.reset()
    there = Stream(channel)
    began = time.monotonic()
    numbers = [str(each) for each in range(20)]
    for number in numbers:
        channel.publish(number)
    wait_for(lambda: len(there.bodies) == len(numbers), LEASE_SECONDS)
    assert time.monotonic() - began < LEASE_SECONDS / 2
    there.reset()


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> tuple[bytes, bytes]:
    head = len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head, body


def test_streams_are_ended_that_their_client_left_open() -> None:
    steps = Halves()
    assert steps.heard(*frame(4, 0, 0, b"settings")) == b"".join(frame(4, 0, 0, b"settings"))
    for stream in (1, 3, 5):
        assert steps.heard(*frame(1, 4, stream, b"head")) == b"".join(frame(1, 4, stream, b"head"))
    assert steps.heard(*frame(0, 1, 1, b"all")) == b"".join(frame(0, 1, 1, b"all"))
    assert steps.heard(*frame(3, 0, 3, b"code")) == b"".join(frame(0, 1, 3))
    assert steps.heard(*frame(3, 0, 1, b"code")) == b"".join(frame(3, 0, 1, b"code"))
    assert steps.gone() == b"".join(frame(0, 1, 5))
