"""A budget for each lane of a user."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.transforms.budget.oracles import (
    HOUR,
)
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms

counts_of_lanes = st.integers(1, 8)


def budgets(requests: int, reserve: int, lanes: int, per_seconds: float = HOUR) -> list[Budget]:
    """One for each lane."""
    return [
        Budget(BudgetTerms(requests, per_seconds, reserve, lane, lanes)) for lane in range(lanes)
    ]
