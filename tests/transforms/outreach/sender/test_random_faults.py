"""Faults of every kind at once: each change ends once, and the values are right."""

from __future__ import annotations

import pytest

from pipeline.sandbox import SandboxOptions, running_sandbox
from pipeline.sandbox.faults import FaultSettings
from tests.support.data.changes import patches
from tests.support.in_process.delivering import (
    SHORT,
    deliver,
    values,
)
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms

pytestmark = pytest.mark.real


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_each_change_ends_once_and_the_values_are_right(seed: int) -> None:
    options = SandboxOptions(
        prospects=120,
        limit=120,
        hour=0.4,
        window="sliding",
        forbidden=frozenset({5, 50}),
        fields=(SHORT,),
        seed=seed,
        faults=FaultSettings(
            error_500=0.05,
            error_502=0.05,
            reset_before=0.05,
            reset_after=0.05,
            slow=0.05,
            slow_seconds=0.02,
        ),
    )
    with running_sandbox(options) as sandbox:
        given = patches(range(1, 131), custom4="a", custom5="too long", custom6="c")

        sent = deliver(sandbox.url, given, budget=Budget(BudgetTerms(120, 0.4, 10)))

        there = set(range(1, 121)) - {5, 50}
        assert sent.left == []
        assert sent.tally == {"delivered": 2 * len(there), "rejected": len(there) + 3 * 12}
        assert values(sandbox, "custom6") == dict.fromkeys(there, "c")
        assert sent.standing.throttled == 0
        assert sandbox.violations() == []
