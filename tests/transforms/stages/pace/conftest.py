"""What every test of Pace needs: no waiting within a turn, and a stream or a key to drive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.pvalue import PCollection

from pipeline.sandbox import Sandbox
from tests.support.beam.stream import Came, Event, flow, stream_time
from tests.transforms.stages.pace.pacing import TERMS, LetIn, Run, Stage, breakdowns, sandbox_of
from transforms.budget.terms import BudgetTerms
from transforms.elements import Patch
from transforms.outreach import backoff
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access, SenderPool
from transforms.stages import patch_stateful
from transforms.stages.patch import PatchProspects


@pytest.fixture(autouse=True)
def far_backoff(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever met trouble waits so long that the turn is over."""
    monkeypatch.setattr(backoff, "BACKOFF_FIRST_SECONDS", 400.0)
    monkeypatch.setattr(backoff, "BACKOFF_MOST_SECONDS", 400.0)
    monkeypatch.setattr(backoff.random, "uniform", lambda _, most: most)
    yield
    breakdowns.clear()


@pytest.fixture(autouse=True)
def tidy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes what a worker that broke down left open."""
    pools: list[SenderPool] = []

    class Recorded(SenderPool):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            pools.append(self)

        def close(self) -> None:
            pools.remove(self)
            super().close()

    monkeypatch.setattr(patch_stateful, "SenderPool", Recorded)
    yield
    for pool in pools[:]:
        pool.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def running(
        sandbox: Sandbox,
        *events: Event,
        auth: object = LetIn(),
        terms: BudgetTerms = TERMS,
        delivery: Delivery | None = None,
    ) -> list[Came]:
        access = Access("ops", auth, terms)  # type: ignore[arg-type]

        def stages(arrived: PCollection) -> dict[str, PCollection]:
            stage = PatchProspects(sandbox.url, [access], delivery or Delivery(), clock=stream_time)
            return {"outcome": (arrived | "Patch" >> stage).outcomes}

        return flow(monkeypatch, events, Patch, stages)

    return running


@pytest.fixture
def stage() -> Iterator[tuple[Stage, Sandbox]]:
    with sandbox_of() as sandbox:
        stage = Stage(sandbox)
        yield stage, sandbox
        stage.dofn.teardown()
