"""The first request goes alone, then so many at once, and never two for one prospect."""

from __future__ import annotations

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.data.changes import patches
from tests.support.in_process.delivering import (
    SHORT,
    deliver,
    most_at_once,
)
from transforms.outreach.delivery import Delivery

pytestmark = pytest.mark.real


def test_the_first_request_goes_alone() -> None:
    with running_sandbox(SandboxOptions(prospects=20, latency_seconds=0.05)) as sandbox:
        deliver(sandbox.url, patches(range(1, 21)))

        first, *others = sandbox.requests()
        assert first.finished_at is not None
        assert all(each.started_at >= first.finished_at for each in others)


def test_so_many_are_in_flight_and_never_more_nor_two_for_one_prospect() -> None:
    options = SandboxOptions(prospects=40, latency_seconds=0.03)
    with running_sandbox(options) as sandbox:
        deliver(sandbox.url, patches(range(1, 41)), delivery=Delivery(in_flight=5))

        assert most_at_once(sandbox) == 5
        assert sandbox.violations() == []


def test_two_are_never_in_flight_for_one_prospect_whatever_goes_wrong() -> None:
    options = SandboxOptions(
        prospects=20,
        latency_seconds=0.01,
        fields=(SHORT,),
        vague_errors=True,
        faults=FaultSettings(error_500=0.2, reset_after=0.2, slow=0.2, slow_seconds=0.05),
    )
    with running_sandbox(options) as sandbox:
        given = patches(range(1, 21), custom4="a", custom5="too long", custom6="c")

        sent = deliver(sandbox.url, given)

        assert sent.tally == {"delivered": 40, "rejected": 20}
        assert sandbox.violations() == []
