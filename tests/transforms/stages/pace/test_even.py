"""A stream that never fits its budget is spent evenly, on a streaming runner as over a ledger."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.changes import patch
from tests.transforms.stages.pace.pacing import HOUR, Stage
from transforms.budget.terms import BudgetTerms

pytestmark = pytest.mark.real

MINUTE = 60.0
TERMS = BudgetTerms(610, HOUR, 10)


class Stream:
    """A key and its Outreach, by one clock."""

    def __init__(self) -> None:
        self.user: Stage | None = None

    def time(self) -> float:
        return 0.0 if self.user is None else self.user.now

    def run(self, minutes: int, each_step: int, prospects: int) -> None:
        """Every ten seconds some prospects change; a timer fires in its ten seconds."""
        assert self.user is not None
        source = random.Random(1)
        for _ in range(minutes * 6):
            self.user.now += MINUTE / 6
            for _ in range(each_step):
                self.user.process(patch(source.randrange(1, prospects + 1)))
            while due := [name for name in ("grant", "send") if self._is_due(name)]:
                for name in due:
                    self.user.fire(name)

    def _is_due(self, name: str) -> bool:
        at = self.user.timers[name].at  # type: ignore[union-attr]
        return at is not None and at <= self.time()


@pytest.fixture
def stream() -> Iterator[tuple[Stream, Sandbox]]:
    stream = Stream()
    options = SandboxOptions(
        prospects=400, limit=TERMS.requests, window="sliding", tokens={"good": "ops"}
    )
    with running_sandbox(options, stream.time) as sandbox:
        stream.user = Stage(sandbox, TERMS)
        yield stream, sandbox
        stream.user.dofn.teardown()


def test_a_stream_that_never_fits_is_sent_without_a_long_pause(
    stream: tuple[Stream, Sandbox],
) -> None:
    key, sandbox = stream

    key.run(minutes=100, each_step=3, prospects=400)

    sent = [each.started_at for each in sandbox.requests()]
    assert 0.95 * TERMS.allowance <= sum(at > 40 * MINUTE for at in sent) <= TERMS.allowance
    assert max(later - at for at, later in pairwise(sent)) <= 2 * MINUTE
    assert sandbox.violations() == []
