"""Where a ledger's receipts and dead letters go: files and topics."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.ends import is_topic, prepare
from pipeline.ledger.outputs import Kind, Output, Publish
from transforms.errors import ActivationError, ConfigurationError

_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
PUBLISH_SECONDS = 60.0
"""How long the service may take to confirm; then the lines are published again."""


def begin_outputs(
    receipts: str | None,
    dead_letters: str | None,
    inputs: Sequence[str],
    ledger: sqlite3.Connection,
    *,
    afresh: bool,
) -> tuple[list[Output], dict[str, str]]:
    """Begins receipts and dead letters, afresh or where an earlier run stopped.

    Returns:
      The outputs; and files that were put aside, by the name of what took their place.

    Raises:
      ConfigurationError: one cannot be written, or is read as well.
    """
    outputs: list[Output] = []
    earlier: dict[str, str] = {}
    wanted: tuple[tuple[Kind, str | None], ...] = (
        ("receipts", receipts),
        ("dead_letters", dead_letters),
    )
    for kind, target in wanted:
        if target is None:
            continue
        put = prepare(target, inputs) if afresh else None
        if put is not None:
            earlier[target] = put
        output = Output(kind, target, publisher(target) if is_topic(target) else None)
        output.begin(ledger, afresh=afresh)
        outputs.append(output)
    return outputs, earlier


def publisher(topic: str) -> Publish:
    """What publishes lines to a topic, and returns when the service has them all.

    It raises `ActivationError` where the service does not take them: they stay in the ledger.

    Raises:
      ConfigurationError: this is no topic's name, or no credentials for Pub/Sub are found.
    """
    if not _TOPIC.fullmatch(topic):
        raise ConfigurationError(f"{topic} is no topic; write projects/PROJECT/topics/TOPIC")
    try:
        client = pubsub_v1.PublisherClient()
    except GoogleAuthError as problem:
        raise ConfigurationError(f"{topic}: {problem}") from problem

    def publish(lines: Sequence[bytes]) -> None:
        try:
            for future in [client.publish(topic, line) for line in lines]:
                future.result(timeout=PUBLISH_SECONDS)
        except (GoogleAPICallError, TimeoutError) as problem:
            raise ActivationError(f"cannot publish to {topic}: {problem}") from problem

    return publish
