"""Pub/Sub without Google's cloud: what tests of a subscription publish to and pull from.

In this order: the one that PUBSUB_EMULATOR_HOST names; Google's emulator, where gcloud has
that component; Google's in-memory server, built from `pubsub_emulator/main.go` beside this.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, PubsubMessage, ReceivedMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tests.support.servers.pubsub_relay import relayed
from tests.support.servers.sandbox_client import wait_for

ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_suffix("")
PROJECT = "projects/tests"
HOW_TO = (
    "no Pub/Sub to talk to: install Go, or the component pubsub-emulator of gcloud (which needs"
    " Java), or name a running emulator in PUBSUB_EMULATOR_HOST"
)
MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic with one subscription; new ones for each test."""

    topic: str
    subscription: str
    publisher: PublisherClient
    subscriber: SubscriberClient

    def publish(self, *bodies: str | bytes, **attributes: str) -> list[str]:
        """Publishes messages in order; returns their ids."""
        messages = [
            PubsubMessage(
                data=body.encode() if isinstance(body, str) else body, attributes=attributes
            )
            for body in bodies
        ]
        ids: list[str] = []
        for start in range(0, len(messages), MOST_AT_ONCE):
            some = messages[start : start + MOST_AT_ONCE]
            ids += self.publisher.publish(topic=self.topic, messages=some).message_ids
        return ids

    def pull(self, seconds: float = 2.0) -> list[PubsubMessage]:
        """Messages that nobody has acknowledged and nobody holds; none is acknowledged by this."""
        found = self._asked(seconds)
        if found:
            # Given back at once, so that whoever asks next gets them.
            self.subscriber.modify_ack_deadline(
                subscription=self.subscription,
                ack_ids=[each.ack_id for each in found],
                ack_deadline_seconds=0,
            )
        return [each.message for each in found]

    def take(self, seconds: float = 1.0) -> list[PubsubMessage]:
        """As `pull`, and acknowledges what it returns."""
        found = self._asked(seconds)
        if found:
            self.subscriber.acknowledge(
                subscription=self.subscription, ack_ids=[each.ack_id for each in found]
            )
        return [each.message for each in found]

    def _asked(self, seconds: float) -> Sequence[ReceivedMessage]:
        try:
            answer = self.subscriber.pull(
                subscription=self.subscription,
                max_messages=MOST_AT_ONCE,
                timeout=seconds,
                retry=None,
            )
        except DeadlineExceeded:
            return ()
        return list(answer.received_messages)


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running Pub/Sub: where it listens, and which one it is."""

    address: str
    name: str

    @property
    def variables(self) -> Mapping[str, str]:
        """What a program needs in its environment to find it."""
        return {"PUBSUB_EMULATOR_HOST": self.address}

    @contextmanager
    def channel(self, *, ack_deadline_seconds: int = 10) -> Iterator[Channel]:
        """A new topic with a new subscription."""
        name = uuid.uuid4().hex[:12]
        with grpc.insecure_channel(self.address) as wire:
            channel = Channel(
                f"{PROJECT}/topics/t-{name}",
                f"{PROJECT}/subscriptions/s-{name}",
                PublisherClient(transport=PublisherGrpcTransport(channel=wire)),
                SubscriberClient(transport=SubscriberGrpcTransport(channel=wire)),
            )
            channel.publisher.create_topic(name=channel.topic)
            channel.subscriber.create_subscription(
                name=channel.subscription,
                topic=channel.topic,
                ack_deadline_seconds=ack_deadline_seconds,
            )
            yield channel


@contextmanager
def running_emulator() -> Iterator[Emulator | None]:
    """A Pub/Sub for as long as the ``with`` block lasts; None where none can be had."""
    with ExitStack() as stack:
        if (address := os.environ.get("PUBSUB_EMULATOR_HOST")) is not None:
            yield Emulator(address, "the one that PUBSUB_EMULATOR_HOST names")
        elif (program := _component()) is not None:
            yield Emulator(stack.enter_context(_gcloud(program)), "Google's emulator")
        elif (server := _built()) is not None:
            yield Emulator(stack.enter_context(_pstest(server)), "Google's in-memory server")
        else:
            yield None


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A Pub/Sub; skips the test where there is none, or fails it if REQUIRE_REAL is set."""
    with running_emulator() as running:
        if running is None and os.environ.get("REQUIRE_REAL"):
            pytest.fail(HOW_TO)
        if running is None:
            pytest.skip(HOW_TO)
        with relayed(running.address) as address:
            yield replace(running, address=address)


@pytest.fixture
def channel(emulator: Emulator) -> Iterator[Channel]:
    """A topic with a subscription, on the emulator."""
    with emulator.channel() as made:
        yield made


def _component() -> str | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    installed = Path(gcloud).resolve().parents[1] / "platform" / "pubsub-emulator"
    return gcloud if installed.is_dir() else None


@contextmanager
def _gcloud(program: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [program, "beta", "emulators", "pubsub", "start", f"--host-port={address}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def answers() -> bool:
        assert process.poll() is None, "gcloud could not start its emulator"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0

    try:
        wait_for(answers, 60)
        yield address
    finally:
        # It starts Java in a process of its own, which would stay.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _built() -> Path | None:
    """The in-memory server, built once for each version of its source."""
    if shutil.which("go") is None:
        return None
    sources = [SOURCE / name for name in ("main.go", "go.mod", "go.sum")]
    version = sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = ROOT / "build" / f"pubsub-emulator-{version}"
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["go", "build", "-o", made, "."], cwd=SOURCE, check=True)
        made.replace(program)
    return program


@contextmanager
def _pstest(program: Path) -> Iterator[str]:
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def bodies(messages: Iterable[PubsubMessage]) -> list[str]:
    """What messages say, sorted."""
    return sorted(each.data.decode() for each in messages)
