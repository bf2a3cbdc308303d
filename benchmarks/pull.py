"""Pulls from a subscription into a ledger's inbox; or, the least that could be done, to nowhere.

Usage: python -m benchmarks.pull SUBSCRIPTION COUNT SECONDS [LEDGER]

Ends after so many messages, or after so many seconds, and prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google.cloud import pubsub_v1

from pipeline.engine.pubsub_ingest import BYTES_UNDER_WAY, MESSAGES_UNDER_WAY, Subscription
from pipeline.ledger.store import owned


@contextmanager
def to_nowhere(name: str, arrived: Callable[[], None]) -> Iterator[Callable[[], int]]:
    """Acknowledges what comes and keeps nothing; gives how many came."""
    count = 0

    def take(message: Any) -> None:  # noqa: ANN401 - the client's own class is untyped
        nonlocal count
        message.ack()
        count += 1
        arrived()

    flow = pubsub_v1.types.FlowControl(max_messages=MESSAGES_UNDER_WAY, max_bytes=BYTES_UNDER_WAY)
    with pubsub_v1.SubscriberClient() as client:
        pull = client.subscribe(name, callback=take, flow_control=flow)
        yield lambda: count
        pull.cancel()
        pull.result()


@contextmanager
def to_inbox(name: str, arrived: Callable[[], None], ledger: str) -> Iterator[Callable[[], int]]:
    """As the always-on job does; gives how many are on the disk."""
    with owned(ledger):
        subscription = Subscription(name, ledger, arrived)
        subscription.open()
        yield lambda: subscription.messages
        subscription.close()


def main(name: str, count: int, seconds: float, ledger: str | None) -> None:
    news = threading.Event()
    pulling = to_nowhere(name, news.set) if ledger is None else to_inbox(name, news.set, ledger)
    began, spent = time.monotonic(), time.process_time()
    with pulling as came:
        while came() < count and time.monotonic() - began < seconds:
            news.wait(1.0)
            news.clear()
        found = {
            "messages": came(),
            "seconds": time.monotonic() - began,
            "processor_seconds": time.process_time() - spent,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), next(iter(sys.argv[4:]), None))
