"""A streaming job on a real portable runner: `run --runner=PrismRunner`, from topic to topic.

Prism keeps its state in memory and takes no checkpoints, so that what a job must survive on Flink
and Dataflow is not shown here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from pipeline.jobs.streaming import Streaming, options_of
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox
from tests.end_to_end.always_on.prism_job import (
    LINES,
    MONDAY,
    PROSPECTS,
    STATE,
    Topics,
    given,
    job,
    sandbox_of,
    taken,
    told,
)
from tests.support.data.three_audiences import NUMBERS, values
from tests.support.in_process.delivering import statuses
from tests.support.processes.org import address, by_mail, people, pull, write_org
from tests.support.processes.program import (
    environment,
    json_lines,
    replay,
    run,
    write_destination,
)
from tests.support.servers.pubsub_emulator import Channel, Emulator
from tests.support.servers.sandbox_client import wait_for
from transforms.elements import OUTCOMES

pytestmark = [
    pytest.mark.prism,
    pytest.mark.pubsub,
    pytest.mark.timeout(400),  # the first one may have to build Prism
    pytest.mark.real,
]


@pytest.fixture
def topics(emulator: Emulator) -> Iterator[Topics]:
    with (
        emulator.channel(ack_deadline_seconds=600) as receipts,
        emulator.channel(ack_deadline_seconds=600) as dead_letters,
        emulator.channel(ack_deadline_seconds=600) as deferred,
    ):
        yield Topics(receipts, dead_letters, deferred)


def test_a_trace_ends_in_the_oracles_state_with_one_receipt_for_each_change(
    tmp_path: Path, emulator: Emulator, channel: Channel, topics: Topics, prism: list[str]
) -> None:
    with running_sandbox(sandbox_of()) as sandbox:
        write_destination(tmp_path, sandbox.url, NUMBERS, delivery={"hold_seconds": 1})
        channel.publish(*LINES, "no json", json.dumps({"outreach_id": 1, "status": "exited"}))
        with job(tmp_path, emulator, channel, [*prism, *topics.flags]) as running:
            wait_for(lambda: values(sandbox) == STATE, 60)
            receipts = taken(topics.receipts, len(LINES))
            before = len(sandbox.requests())
            # What is older, and what is so already, costs no request.
            channel.publish(*LINES[:50])
            receipts += taken(topics.receipts, 50)
            summary = running.drain()

        assert values(sandbox) == STATE
        assert told(receipts) == given([*LINES, *LINES[:50]])
        assert len({one["change_id"] for one in receipts}) == len(receipts)
        assert len(sandbox.requests()) == before
        letters = taken(topics.dead_letters, 2)
        assert sorted(one["reason"] for one in letters) == ["not_json", "unknown_shape"]
        assert "no json" in [one["payload"] for one in letters]
        assert summary["status"] == 3
        assert summary["changes"] == sum(summary[name] for name in OUTCOMES)
        assert taken(topics.deferred, 0) == []
        assert sandbox.violations() == []


@pytest.mark.parametrize(
    ("flags", "asked", "not_asked"),
    [
        (["--runner=PrismRunner"], ["prism_disable_sdf_split"], ["checkpointing"]),
        (["--runner=PrismRunner", "--experiments=mine"], ["mine", "prism_disable_sdf_split"], []),
        (["--runner=FlinkRunner"], ["checkpointing_interval"], ["prism"]),
        (["--runner=FlinkRunner", "--checkpointing_interval=5"], ["5"], ["10000"]),
        (["--runner=DataflowRunner"], [], ["prism", "checkpointing"]),
    ],
)
def test_a_runner_is_told_what_it_cannot_do_without(
    flags: list[str], asked: list[str], not_asked: list[str]
) -> None:
    options = options_of(Streaming(subscription="projects/p/subscriptions/s", beam_flags=flags))
    told_ = str(options.get_all_options(drop_default=True, retain_unknown_options=True))

    assert options.view_as(StandardOptions).streaming
    assert all(word in told_ for word in asked)
    assert not any(word in told_ for word in not_asked)


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_the_budget_holds_however_many_lanes_share_it_and_all_of_it_is_spent(
    tmp_path: Path, emulator: Emulator, channel: Channel, prism: list[str], lanes: int
) -> None:
    terms = {"requests": 44, "per_seconds": 4.0, "reserve": 4}
    with running_sandbox(sandbox_of(44, 4.0)) as sandbox:
        write_destination(
            tmp_path,
            sandbox.url,
            NUMBERS,
            budget=terms,
            delivery={"hold_seconds": 0.5, "lanes": lanes},
        )
        channel.publish(*LINES)
        flags = [*prism, "--dead_letters=dead_letters.jsonl", "--receipts=receipts.jsonl"]
        with job(tmp_path, emulator, channel, flags) as running:
            wait_for(lambda: values(sandbox) == STATE, 60)
            summary = running.drain()

        assert summary["status"] == 0
        assert sandbox.violations() == []
        assert 429 not in statuses(sandbox)
        assert worst_window(sandbox, 4.0) <= 40
        # Three windows for 120 prospects; the probes of the lanes and what is done between
        # two turns may take up a fourth.
        took = sandbox.requests()[-1].started_at - sandbox.requests()[0].started_at
        assert took <= 4 * 4.0


def worst_window(sandbox: Sandbox, seconds: float) -> int:
    """The most requests that arrived within any such span."""
    arrivals = sorted(each.started_at for each in sandbox.requests())
    return max(sum(start <= other < start + seconds for other in arrivals) for start in arrivals)


def test_a_drained_job_defers_the_rest_and_replaying_that_finishes_the_work(
    tmp_path: Path, emulator: Emulator, channel: Channel, topics: Topics, prism: list[str]
) -> None:
    # The receipts go first: they are the memory of what the job delivered, without which an older
    # message that it had not read yet would be sent over a newer value.
    with running_sandbox(sandbox_of()) as sandbox:
        budget = {"requests": 30, "per_seconds": 1000.0, "reserve": 5}
        write_destination(
            tmp_path, sandbox.url, NUMBERS, budget=budget, delivery={"hold_seconds": 1}
        )
        channel.publish(*LINES)
        with job(tmp_path, emulator, channel, [*prism, *topics.flags]) as running:
            wait_for(lambda: len(sandbox.requests()) == 25, 60)
            channel.publish(*LINES[:20])
            summary = running.drain()

        # What was not read when it was drained is still there, or there again.
        receipts: list[dict[str, Any]] = []
        left: list[str] = []

        def all_is_found() -> bool:
            receipts.extend(taken(topics.receipts, 0))
            left.extend(each.data.decode() for each in channel.take())
            return len(receipts) + len(left) >= len(LINES) + 20

        wait_for(all_is_found, 30)
        outcomes = Counter(one["outcome"] for one in receipts)
        deferred = taken(topics.deferred, outcomes["deferred"])
        assert summary["status"] == 3
        assert len(receipts) + len(left) == len(LINES) + 20
        assert len({one["change_id"] for one in receipts}) == len(receipts)
        assert outcomes.keys() <= {"delivered", "superseded", "unchanged", "deferred"}
        assert len(deferred) == outcomes["deferred"] > 0
        assert taken(topics.dead_letters, 0) == []
        (tmp_path / "rest.jsonl").write_text(
            "".join(json.dumps(one) + "\n" for one in [*receipts, *deferred])
            + "\n".join(left)
            + "\n"
        )
        write_destination(tmp_path, sandbox.url, NUMBERS)
        ended = replay(tmp_path, "rest.jsonl")
        assert ended.status == 0, ended.stderr
        assert values(sandbox) == STATE


def test_a_refused_credential_keeps_the_work_and_a_drain_puts_it_out(
    tmp_path: Path, emulator: Emulator, channel: Channel, topics: Topics, prism: list[str]
) -> None:
    with running_sandbox(SandboxOptions(prospects=PROSPECTS, tokens={"another": "ops"})) as sandbox:
        write_destination(tmp_path, sandbox.url, NUMBERS, delivery={"hold_seconds": 0.5})
        channel.publish(*LINES[:30])
        with job(tmp_path, emulator, channel, [*prism, *topics.flags]) as running:
            wait_for(lambda: 401 in statuses(sandbox), 60)
            summary = running.drain()

    assert summary["delivered"] == summary["rejected"] == 0
    receipts = taken(topics.receipts, 30)
    assert {one["outcome"] for one in receipts} == {"superseded", "deferred"}
    assert len(taken(topics.deferred, 1)) == sum(one["outcome"] == "deferred" for one in receipts)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--runner=PrismRunner"], "without --dead_letters"),
        (["--runner=NoSuchRunner", "--dead_letters=projects/p/topics/d"], "NoSuchRunner"),
        (["--runner=PrismRunner", "--ledger=l.db"], "leave out --ledger or --runner"),
        (
            ["--runner=FlinkRunner", "--flink_master=host:8081", "--dead_letters=d.jsonl"],
            "name a topic",
        ),
        (["--runner=PrismRunner", "--dead_letters=d", "--dry_run"], "leave out --dry_run"),
        (["--ledger=l.db", "--deferred=projects/p/topics/d"], "leave out --deferred"),
    ],
)
def test_what_would_lose_something_is_refused_before_it_starts(
    tmp_path: Path, flags: list[str], said: str
) -> None:
    write_destination(tmp_path, "http://127.0.0.1:9", NUMBERS)

    ended = run(
        tmp_path,
        "run",
        "--destination=destination.yaml",
        "--input_subscription=projects/p/subscriptions/s",
        *flags,
    )

    assert ended.status == 2, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_subscription_that_is_not_there_is_told_in_a_sentence(
    tmp_path: Path, emulator: Emulator, prism: list[str]
) -> None:
    write_destination(tmp_path, "http://127.0.0.1:9", NUMBERS)

    ended = run(
        tmp_path,
        "run",
        "--destination=destination.yaml",
        "--input_subscription=projects/tests/subscriptions/none",
        "--dead_letters=dead_letters.jsonl",
        *prism,
        variables=environment(**emulator.variables),
    )

    assert ended.status == 1
    assert "cannot pull from projects/tests/subscriptions/none" in ended.stderr.splitlines()[-1]
    assert json_lines(tmp_path / "dead_letters.jsonl") == []


def test_prospects_by_mail_are_found_in_a_file_of_the_directory(
    tmp_path: Path, emulator: Emulator, channel: Channel, prism: list[str]
) -> None:
    with running_sandbox(SandboxOptions()) as sandbox:
        sandbox.seed(people(30))
        write_org(tmp_path, sandbox.url, delivery={"hold_seconds": 0.5})
        assert pull(tmp_path, "--output=directory.jsonl").status == 0
        sandbox.seed(people(1, first=77))
        some = [(address(number), "seg-a", "realized", MONDAY) for number in (*range(1, 31), 77)]
        channel.publish(*by_mail(some))
        outputs = ["--dead_letters=dead_letters.jsonl", "--receipts=receipts.jsonl"]
        flags = [*prism, *outputs, "--directory=directory.jsonl"]
        with job(tmp_path, emulator, channel, flags) as running:
            wait_for(lambda: len(values(sandbox)) == 30, 60)
            summary = running.drain()
        assert summary["delivered"] == 30
        (letter,) = json_lines(tmp_path / "dead_letters.jsonl")
        assert (letter["reason"], letter["payload"]["email"]) == ("prospect_unknown", address(77))
