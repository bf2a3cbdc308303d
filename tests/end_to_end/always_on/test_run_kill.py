"""`run` killed at random points: what was published is delivered, once, by those after it."""

from __future__ import annotations

import random
import time

import pytest

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import running_sandbox
from tests.end_to_end.always_on.published import AT_ONCE, given, told
from tests.end_to_end.replay.test_replay_kill import PROSPECTS, REPEATED_MOST, TERMS, slow
from tests.support.data.three_audiences import FIELDS, NUMBERS, SEGMENTS, line, patches, values
from tests.support.data.trace import expected, flat_lines, untied
from tests.support.processes.always_on import Place
from tests.support.processes.program import json_lines, write_destination
from tests.support.servers.sandbox_client import wait_for

pytestmark = [pytest.mark.kill, pytest.mark.pubsub, pytest.mark.real]

LIVES = 6


@pytest.mark.parametrize("seed", [1])
def test_a_job_that_is_killed_again_and_again_ends_as_if_it_never_was(
    place: Place, seed: int
) -> None:
    source = random.Random(seed)
    lines = untied(flat_lines(900, PROSPECTS, SEGMENTS, seed))
    with running_sandbox(slow()) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, budget=TERMS, delivery=AT_ONCE)
        for life in range(LIVES):
            with place.running() as running:
                # Before it pulls, or at work; arrivals come in between.
                if source.random() < 0.8:
                    running.wait_for("pulling from")
                place.channel.publish(*lines[life::LIVES])
                time.sleep(source.uniform(0.0, 1.2))
                running.kill()
        with place.running() as running:
            place.wait_for_receipts(len(lines))
            running.stop()

        repeated = [one for one in sandbox.requests() if one.method == "PATCH" and not one.altered]
        assert values(sandbox) == expected(lines, FIELDS)
        assert told(place) == given(lines)
        assert json_lines(place.folder / "dead_letters.jsonl") == []
        assert len(repeated) <= LIVES * REPEATED_MOST
        assert [one for one in sandbox.violations() if one.kind != "overlap"] == []


def test_a_kill_leaves_no_more_than_one_commit_to_be_repeated(place: Place) -> None:
    count = 1_500
    options = SandboxOptions(prospects=count, limit=0, latency_seconds=0.01)
    with running_sandbox(options) as sandbox:
        write_destination(place.folder, sandbox.url, NUMBERS, delivery=AT_ONCE)
        place.channel.publish(*[line(one) for one in range(1, count + 1)])
        with place.running() as running:
            wait_for(lambda: len(patches(sandbox)) >= 800, 60)
            running.kill()

        sent = len(values(sandbox))
        ((noted,),) = place.asked("SELECT count(*) FROM receipts WHERE outcome = 'delivered'")
        assert 800 <= sent <= count
        assert 0 <= sent - noted <= REPEATED_MOST
