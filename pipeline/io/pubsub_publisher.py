"""Lines to a Pub/Sub topic, each a message; told only when the service has them all."""

from __future__ import annotations

import time
from collections.abc import Sequence

import apache_beam as beam
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from transforms.errors import ConfigurationError

BUNDLE_SECONDS = 60.0
"""How long the service may take to confirm what a bundle brought."""


class Publisher:
    """Publishes to one topic.

    Args:
      topic: ``projects/P/topics/T``.
      seconds: how long the service may take to confirm.

    Raises:
      ConfigurationError: there are no credentials of Google's.
    """

    def __init__(self, topic: str, seconds: float) -> None:
        self._topic = topic
        self._seconds = seconds
        try:
            self._client = pubsub_v1.PublisherClient()
        except GoogleAuthError as problem:
            raise ConfigurationError(f"cannot publish to {topic}: {problem}") from problem

    def __call__(self, lines: Sequence[bytes]) -> None:
        """Publishes each line, and returns when the service has confirmed all.

        Raises:
          OSError: it has not; some of them may be published all the same.
        """
        ends = time.monotonic() + self._seconds
        try:
            for future in [self._client.publish(self._topic, line) for line in lines]:
                future.result(timeout=max(0.0, ends - time.monotonic()))
        except (GoogleAPIError, GoogleAuthError, TimeoutError) as problem:
            raise OSError(str(problem) or "the service does not answer") from problem

    def close(self) -> None:
        """Ends the client's threads."""
        self._client.stop()


class PublishLinesDoFn(beam.DoFn):
    """Publishes each element's lines; a bundle is done when all of its are confirmed.

    At least once: a bundle that is run again publishes its lines again.

    Args:
      topic: ``projects/P/topics/T``.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def setup(self) -> None:  # noqa: D102
        self._publish = Publisher(self._topic, BUNDLE_SECONDS)

    def teardown(self) -> None:  # noqa: D102
        self._publish.close()

    def start_bundle(self) -> None:  # noqa: D102
        self._lines: list[bytes] = []

    def process(self, lines: Sequence[bytes]) -> None:  # noqa: D102
        self._lines.extend(lines)

    def finish_bundle(self) -> None:  # noqa: D102
        if self._lines:
            self._publish(self._lines)
