"""`run`, as its user runs it: a Pub/Sub over gRPC, the sandbox over HTTP, real processes."""

from __future__ import annotations

import json
import random
import resource
import signal
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.end_to_end.always_on.published import AT_ONCE, given, told
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS, line, patches, values
from tests.support.data.trace import expected, flat_lines, untied
from tests.support.processes.always_on import STOP_SECONDS, Place
from tests.support.processes.program import command, write_destination
from tests.support.servers.pubsub_relay import relayed
from tests.support.servers.sandbox_client import free_port, wait_for
from transforms.elements import OUTCOMES

pytestmark = [pytest.mark.pubsub, pytest.mark.real]
PROSPECTS = 300


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS)) as running:
        write_destination(tmp_path, running.url, NUMBERS, delivery=AT_ONCE)
        yield running


def patched(sandbox: Sandbox) -> list[int]:
    """Prospects in the order in which they were written."""
    return [int(one.path.rpartition("/")[2]) for one in sandbox.requests() if one.method == "PATCH"]


def test_what_comes_again_or_late_or_out_of_order_changes_nothing(
    place: Place, sandbox: Sandbox
) -> None:
    lines = untied(flat_lines(300, 40, SEGMENTS))
    newest = expected(lines, FIELDS)
    held = [each for each in lines if json.loads(each)["outreach_id"] <= 20]
    late = [each for each in lines if json.loads(each)["outreach_id"] > 20]
    random.Random(7).shuffle(held)

    with place.running() as running:
        place.channel.publish(*held)
        place.wait_for_receipts(len(held))
        before = len(patches(sandbox))
        place.channel.publish(*held)
        place.wait_for_receipts(2 * len(held))
        assert len(patches(sandbox)) == before, "what came again cost a request"
        place.channel.publish(*late)
        place.wait_for_receipts(2 * len(held) + len(late))
        running.stop()

    assert values(sandbox) == newest
    assert told(place) == given([*held, *held, *late]), "each of each message has its receipt"


def test_signals_finish_what_is_in_flight_and_the_next_start_does_the_rest(place: Place) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, delivery=AT_ONCE)
        place.channel.publish(*[line(one) for one in range(1, PROSPECTS + 1)])
        for number in (signal.SIGTERM, signal.SIGINT):
            before = len(place.receipts)
            with place.running() as running:
                place.wait_for_receipts(before + 30)

                took = running.stop(number)

                sent = len(values(sandbox))
                assert took < STOP_SECONDS
                assert "Traceback" not in running.said
                assert before + 30 <= sent < PROSPECTS
                assert len(place.receipts) == len(patches(sandbox)) == sent
        with place.running() as running:
            place.wait_for_receipts(PROSPECTS)
            running.stop()
        assert sorted(patched(sandbox)) == list(range(1, PROSPECTS + 1)), "each of them once"
        assert len(place.receipts) == PROSPECTS


def test_what_was_acknowledged_is_in_the_inbox(place: Place) -> None:
    write_destination(place.folder, "http://127.0.0.1:9", NUMBERS)
    count = 2_000
    with place.running() as running:
        running.wait_for("pulling from")
        ids = set(place.channel.publish(*[line(one) for one in range(1, count + 1)]))
        wait_for(lambda: place.asked("SELECT 1 FROM inbox LIMIT 1"), 30)
        running.kill()

    kept = {message_id for (message_id,) in place.asked("SELECT message_id FROM inbox")}
    assert 0 < len(kept) <= count
    missing = ids - kept
    deadline = time.monotonic() + 60
    while missing:
        assert time.monotonic() < deadline, f"{len(missing)} messages are nowhere"
        missing -= {each.message_id for each in place.channel.pull()}


def test_pubsub_may_be_away_at_the_start_and_when_it_is_stopped(
    place: Place, sandbox: Sandbox
) -> None:
    port = free_port()
    away = replace(place, emulator=replace(place.emulator, address=f"127.0.0.1:{port}"))
    with away.running() as running:
        running.wait_for("Pub/Sub cannot be reached; trying again")
        with relayed(place.emulator.address, port):
            place.channel.publish(line(1))
            place.wait_for_receipts(1)
            running.wait_for("Pub/Sub can be reached again")
        assert running.stop() < STOP_SECONDS
    assert "Traceback" not in running.said
    assert len(values(sandbox)) == 1


def test_a_subscription_that_is_none_is_refused_and_leaves_nothing_behind(place: Place) -> None:
    write_destination(place.folder, "http://127.0.0.1:9", NUMBERS)
    words = [
        "orders" if each.startswith("projects/") else each
        for word in command(*place.words)
        for each in word.split("=", 1)
    ]
    with place.running(words) as running:
        assert running.process.wait(timeout=30) == 2
        assert "'orders' is no subscription; name it as projects/PROJECT/" in running.said
    missing = [word.replace("/s-", "/gone-") for word in command(*place.words)]
    with place.running(missing) as running:
        assert running.process.wait(timeout=30) == 2
        assert "refused cannot pull from projects/tests/subscriptions/gone-" in running.said
        assert "Traceback" not in running.said


def test_a_second_job_on_a_ledger_is_refused(place: Place, sandbox: Sandbox) -> None:
    with place.running() as first:
        first.wait_for("pulling from")
        with place.running() as second:
            assert second.process.wait(timeout=30) == 2
            assert f"ledger.db is in use by process {first.process.pid}" in second.said
        place.channel.publish(line(1))
        place.wait_for_receipts(1)
        first.stop()
    assert len(values(sandbox)) == 1


def test_live_messages_go_before_those_of_the_backfill_and_leave_it_a_share(place: Place) -> None:
    budget = {"requests": 40, "per_seconds": 1.0, "reserve": 10}
    options = SandboxOptions(prospects=PROSPECTS, limit=40, hour=1.0, window="sliding")
    with running_sandbox(options) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, budget=budget, delivery=AT_ONCE)
        backfill = range(1, 201)
        live = range(201, 261)
        place.channel.publish(*[line(one) for one in backfill], lane="backfill")
        with place.running() as running:
            place.wait_for_receipts(10)
            # One message, so that they arrive together.
            place.channel.publish(f"[{','.join(map(line, live))}]")
            place.wait_for_receipts(len(backfill) + len(live))
            running.stop()

        order = patched(sandbox)
        places = [at for at, who in enumerate(order) if who in live]
        between = order[places[0] : places[-1] + 1]
        ahead = [who for who in between if who in backfill]
        assert len(order) == len(backfill) + len(live)
        assert places[0] < len(order) // 2, "live ones waited for the backfill"
        assert 0 < len(ahead) <= 2 + len(live) // 9, "one in ten is of the backfill meanwhile"
        assert sandbox.violations() == []


FULL_BYTES = 16_384
"""More than a log has, less than a ledger needs for a commit."""


def limit_files(process: int, size: int = resource.RLIM_INFINITY) -> None:
    """No file of a running process grows beyond a size, as if the disk were full."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


CLOCK = """
import sys, time
began = time.time
time.time = lambda: began() + {seconds}
from pipeline.cli import main
sys.argv[0] = "outreach-activation"
main()
"""
SPAN_SECONDS = 12.0


def most_in_a_span(sandbox: Sandbox) -> int:
    """How many requests arrived within some `SPAN_SECONDS`."""
    times = sorted(one.started_at for one in sandbox.requests())
    return max(
        bisect_left(times, began + SPAN_SECONDS) - place for place, began in enumerate(times)
    )


def test_what_killed_processes_spent_still_counts_whatever_the_clock_says(place: Place) -> None:
    budget = {"requests": 60, "per_seconds": SPAN_SECONDS, "reserve": 5}
    options = SandboxOptions(prospects=PROSPECTS, limit=60, hour=SPAN_SECONDS, window="sliding")
    day = 86_400
    words = command(*place.words)
    count = 120
    with running_sandbox(options) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, budget=budget, delivery=AT_ONCE)
        place.channel.publish(*[line(one) for one in range(1, count + 1)])
        for _ in range(2):
            before = len(patches(sandbox))
            with place.running():
                wait_for(lambda before=before: len(patches(sandbox)) >= before + 25, 60)
        with place.running([words[0], "-c", CLOCK.format(seconds=-day), *words[3:]]) as running:
            place.wait_for_receipts(count)
            running.stop()

        assert most_in_a_span(sandbox) <= 55, "the reserve is left over kills, too"
        assert 429 not in patches(sandbox)
        assert [one for one in sandbox.violations() if one.kind != "overlap"] == []
        assert len(values(sandbox)) == len(place.receipts) == count


def test_a_dry_run_sends_and_acknowledges_nothing_and_says_what_would_be_sent(
    place: Place, sandbox: Sandbox
) -> None:
    lines = untied(flat_lines(200, 40, SEGMENTS))
    place.channel.publish(*lines)
    state = expected(lines, FIELDS)
    fields = sum(len(each) for each in state.values())

    with place.running(command(*place.words, "--dry_run")) as running:
        place.wait_for_receipts(len(lines))
        running.stop()
        rehearsed = running.summary

    assert rehearsed["dry_run"] is True
    assert (rehearsed["changes"], rehearsed["delivered"]) == (len(lines), fields)
    assert rehearsed["requests"] == 0
    assert sandbox.requests() == []

    with place.running() as running:
        place.wait_for_receipts(2 * len(lines))
        running.stop()
    assert values(sandbox) == state
    summary = running.summary
    assert summary["changes"] == len(lines) == sum(summary[name] for name in OUTCOMES)
    assert "dry_run" not in summary


def test_a_full_disk_pauses_loses_nothing_and_is_gone_on_from(place: Place) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, latency_seconds=0.1)) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, delivery=AT_ONCE)
        with place.running() as running:
            running.wait_for("pulling from")

            limit_files(running.process.pid, FULL_BYTES)
            ids = place.channel.publish(*[line(one) for one in range(1, 201)])
            running.wait_for("the inbox cannot be written")
            assert place.asked("SELECT count(*) FROM inbox") == [(0,)]
            limit_files(running.process.pid)
            place.wait_for_receipts(30)

            limit_files(running.process.pid, FULL_BYTES)
            running.wait_for("outcomes cannot be written down")
            running.wait_for("the ledger cannot be written")
            ((noted,),) = place.asked("SELECT count(*) FROM receipts")
            assert 30 <= noted < len(ids)
            limit_files(running.process.pid)
            place.wait_for_receipts(len(ids))
            running.stop()

        assert "Traceback" not in running.said
        assert sorted(patched(sandbox)) == list(range(1, len(ids) + 1)), "each of them once"
        assert len(values(sandbox)) == len(place.receipts) == len(ids)
