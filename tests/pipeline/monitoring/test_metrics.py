"""Metrics and health of the always-on job, as Prometheus and a supervisor ask for them."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.ledger import users
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import Message, receive
from pipeline.ledger.store import transaction
from pipeline.monitoring.health import TURN_SECONDS, Health
from pipeline.monitoring.http_server import serving
from pipeline.monitoring.metrics import CACHE_SECONDS, PREFIX
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.docs.test_docs import quoted, rows
from tests.support.in_process.ledgers import NOW, arrive, become_members, member, new_ledger
from tests.support.processes.program import (
    ROOT,
    command,
    environment,
    json_lines,
    run,
    write_destination,
)
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import wait_for
from tests.support.servers.webhook import receiving
from transforms.errors import ConfigurationError

pytestmark = pytest.mark.real

SECONDS = NOW / 1e6

Labels = frozenset[tuple[str, str]]


class Job:
    """What a job tells of itself, by a clock of the test's."""

    def __init__(self) -> None:
        self.now = SECONDS
        self.failure: BaseException | None = None
        self.health = Health(lambda: self.now, lambda: self.failure, self.now)


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of ours
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def metrics(url: str) -> dict[str, dict[Labels, float]]:
    """Ours, by name without the prefix; each value by its labels."""
    found: dict[str, dict[Labels, float]] = {}
    status, text = asked(f"{url}/metrics")
    assert status == 200
    for family in text_string_to_metric_families(text):
        assert family.name.startswith((PREFIX, "process_"))
        assert family.documentation
        for sample in family.samples:
            if sample.name.startswith(PREFIX):
                labels = frozenset(sample.labels.items())
                found.setdefault(sample.name.removeprefix(PREFIX), {})[labels] = sample.value
    return found


def by(**labels: str) -> Labels:
    return frozenset(labels.items())


@contextmanager
def served(folder: Path, job: Job) -> Iterator[str]:
    with serving("127.0.0.1", 0, str(folder / "ledger.db"), job.health) as url:
        yield url


def test_the_metrics_are_those_that_the_page_lists(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger, served(tmp_path, Job()) as url:
        become_members(ledger, [1])
        found = metrics(url)
        table = rows(ROOT / "docs" / "operations.md", "## Metrics")[1:]
        assert [quoted(row[0])[0] for row in table] == list(found)
        labels = {name: {key for key, _ in next(iter(values))} for name, values in found.items()}
        assert {quoted(row[0])[0]: set(quoted(row[1])) for row in table} == labels


def test_they_say_what_is_in_the_ledger(tmp_path: Path) -> None:
    job = Job()
    with new_ledger(tmp_path, ["ops", "sales"]) as ledger, served(tmp_path, job) as url:
        become_members(ledger, range(1, 21))
        arrive(ledger, [member(each, "exited") for each in range(1, 21)], terms=GuardTerms())
        unmapped = [member(each, "x")._replace(segment=f"s{each}", field="f") for each in (1, 2)]
        arrive(ledger, [*unmapped, member(3, "x")._replace(segment=None, field="title")])
        users.set_paused(ledger, "sales", "user 'sales': mend it", NOW)
        receive(ledger, [Message("s", "1", NOW - 7_000_000, 0, b"{}")], NOW - 7_000_000)
        job.now += 5
        found = metrics(url)
        a, b = (by(segment=f"seg-{each}", audience=f"Audience {each}") for each in "ab")
        assert found["waiting_changes"] == {
            a: 20,
            b: 0,
            by(segment="other", audience="other"): 2,
            by(segment="", audience="profile attributes"): 1,
        }
        assert found["audience_held"] == {a: 1, b: 0}
        assert found["user_paused"] == {by(user="ops"): 0, by(user="sales"): 1}
        assert found["budget_allowance_requests"][by(user="ops")] == 9_500
        assert found["waiting_prospects"][by(user="ops", lane="live")] == 20
        assert found["outcomes_total"][by(outcome="delivered")] == 20
        assert found["changes_total"] == {by(): 43}
        assert found["oldest_waiting_age_seconds"] == {by(): 5}
        assert found["oldest_unread_message_age_seconds"] == {by(): 12}
        assert found["unread_messages"] == {by(): 1}
        assert found["last_turn_timestamp_seconds"] == {by(): SECONDS}


def test_the_ledger_is_read_no_more_often_than_every_few_seconds(tmp_path: Path) -> None:
    job = Job()
    with new_ledger(tmp_path) as ledger, served(tmp_path, job) as url:
        assert metrics(url)["changes_total"] == {by(): 0}
        become_members(ledger, [1])
        assert metrics(url)["changes_total"] == {by(): 0}
        job.now += CACHE_SECONDS
        assert metrics(url)["changes_total"] == {by(): 1}


def test_a_scrape_does_not_wait_for_a_commit(tmp_path: Path) -> None:
    with new_ledger(tmp_path) as ledger, served(tmp_path, Job()) as url, transaction(ledger):
        ledger.execute("DELETE FROM known")
        assert metrics(url)["changes_total"] == {by(): 0}


def test_health_is_lost_with_the_loop_and_with_the_subscription(tmp_path: Path) -> None:
    job = Job()
    with new_ledger(tmp_path), served(tmp_path, job) as url:
        assert asked(f"{url}/healthz") == (200, "ok\n")
        job.now += TURN_SECONDS + 1
        assert asked(f"{url}/healthz") == (503, "the loop has not come round for 3 min 1 s\n")
        job.health.turned()
        assert asked(f"{url}/healthz") == (200, "ok\n")
        job.failure = PermissionError("projects/p/subscriptions/s")
        status, text = asked(f"{url}/healthz")
        assert (status, text) == (503, "pulling from the subscription ended: PermissionError\n")
        assert asked(f"{url}/")[0] == 404


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=f"port {port}"),
            serving("127.0.0.1", port, str(tmp_path / "l.db"), Job().health),
        ):
            pass


def line(prospect: int, status: str = "realized", day: int = 1) -> str:
    return json.dumps(
        {
            "outreach_id": prospect,
            "segment": "a",
            "status": status,
            "event_time": f"2026-01-0{day}T00:00:00Z",
        }
    )


def test_a_running_job_serves_holds_asks_and_goes_on_after_the_release(
    tmp_path: Path, emulator: Emulator, channel: Channel
) -> None:
    """All of it in one real run: metrics, health, an alert's webhook, status, release."""
    with running_sandbox(SandboxOptions(prospects=40)) as sandbox, receiving() as receiver:
        write_destination(
            tmp_path,
            sandbox.url,
            {"a": 4},
            delivery={"hold_seconds": 0},
            alerts={"webhook": receiver.url},
        )
        log = (tmp_path / "log").open("wb")
        process = subprocess.Popen(
            command(
                "run",
                "--destination=destination.yaml",
                f"--input_subscription={channel.subscription}",
                "--ledger=l.db",
                "--receipts=receipts.jsonl",
                "--metrics_port=0",
            ),
            cwd=tmp_path,
            env=environment(**emulator.variables),
            stderr=log,
        )

        def said() -> str:
            return (tmp_path / "log").read_text("utf-8")

        def delivered() -> float:
            return metrics(url)["outcomes_total"][by(outcome="delivered")]

        try:
            found = wait_for(
                lambda: re.search(r"metrics at (http://127\.0\.0\.1:\d+)/", said()), 60
            )
            url = found[1]
            channel.publish(*[line(each) for each in range(1, 21)])
            wait_for(lambda: delivered() == 20, 60)
            assert asked(f"{url}/healthz") == (200, "ok\n")

            # One message, so that they arrive together.
            channel.publish(f"[{','.join(line(each, 'exited', 2) for each in range(1, 16))}]")
            wait_for(lambda: receiver.texts, 60)
            assert "audience a: 15 of its 20 known members leave at once" in receiver.texts[0]
            ask = f"outreach-activation release a --ledger {tmp_path / 'l.db'}"
            assert receiver.texts[0].endswith(ask)
            assert f" WARNING alert: {receiver.texts[0].removeprefix('test: ')}\n" in said()
            status = json.loads(run(tmp_path, "status", "--ledger=l.db", "--json").stdout)
            assert status["process"] == process.pid
            assert status["held"][0]["changes"] == 15
            assert status["alerts"][0]["kind"] == "mass_exit"

            assert run(tmp_path, *ask.split()[1:]).status == 0
            wait_for(lambda: delivered() == 35, 60)
            wait_for(lambda: len(receiver.texts) == 2, 60)
            assert receiver.texts[1].startswith("test: over after ")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()
            log.close()
        assert len(json_lines(tmp_path / "receipts.jsonl")) == 35
        assert receiver.url not in said()
        values = [fields.get("custom4") for fields in sandbox.prospects().values()]
        assert (values.count("exited"), values.count("realized")) == (15, 5)
