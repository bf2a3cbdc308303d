"""The loop: the graph over a ledger, its two halves in turn, each run a durable step.

*Intake* runs read, parse, map and coalesce over what arrived, and commits all that came of it
at once. *Delivery* runs patch over the prospects whose turn it is and that the budget allows,
and commits each outcome as it becomes known. The process may die anywhere between two commits.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.graph import Activation
from pipeline.handover import Given, OutletOf, Put, Tray, offered
from pipeline.ledger import accounts, forgetting, guard, history, inbox, waiting
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.store import connect, transaction
from pipeline.summary import Counts
from transforms.budget import Budget
from transforms.clock import micros, steady
from transforms.coalesce import Coalesce
from transforms.elements import Block, DeadLetter, Outcome, Patch
from transforms.mapping import Plan
from transforms.outreach.allotment import Allotment
from transforms.outreach.desk import Access, Desk, Watch
from transforms.outreach.sender import Delivery
from transforms.patch import Kept, Outlet, PatchProspects

INTAKE = "intake"
DELIVERY = "delivery"
ARRIVALS = 20_000
"""Messages taken in by one run, at most."""
RUN_SECONDS = 5.0
"""What a delivery run aims to take: what arrives meanwhile waits for its end."""
PATCHES_FIRST = 200
PATCHES_MOST = 20_000
COMMIT_OUTCOMES = 200
"""Outcomes committed at once, at most; so many PATCHes are repeated if the process is killed."""
COMMIT_SECONDS = 0.25
PAUSED_SECONDS = 60.0
"""How often a paused user's credential is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a loop does.

    Attributes:
      plan: what goes where.
      base_url: of the API.
      accesses: the users.
      delivery: how patches are sent.
      hold_seconds: how long a prospect's changes are gathered.
      guard: when an audience that empties is held.
      watch: see `transforms.outreach.desk.Watch`.
      announce: is told before each delivery how many more prospects of each user wait.
      clock: seconds since the epoch.
    """

    plan: Plan
    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery
    hold_seconds: float = 0.0
    guard: GuardTerms = field(default_factory=GuardTerms)
    watch: Watch | None = None
    announce: Callable[[Mapping[str, int]], None] | None = None
    clock: Callable[[], float] = steady


@dataclass(slots=True)
class _Gathered:
    """What an intake run put on its tray."""

    patches: list[Patch] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)

    def put(self, kind: str, result: Any) -> None:  # noqa: ANN401 - what the kind says
        getattr(self, kind).append(result)


class Loop:
    """Runs a job over a ledger that this process owns; one thread at a time.

    Args:
      path: of the ledger.
      job: what to do.
    """

    def __init__(self, path: str, job: Job) -> None:
        self._job = job
        self._ledger = connect(path)
        self._desk = Desk(job.base_url, job.delivery, job.clock)
        self._budgets: dict[str, Budget] = {}
        self._tried_at: dict[str, float] = {}
        self._most = PATCHES_FIRST
        self.problems: dict[str, str] = {}
        with transaction(self._ledger):
            accounts.name_users(self._ledger, {each.name: each.budget for each in job.accesses})
            guard.name_audiences(self._ledger, job.plan.audiences)

    def close(self) -> None:
        """Closes the connections to Outreach and to the ledger."""
        self._desk.close()
        self._ledger.close()

    def take_in_messages(self) -> bool:
        """Takes in what is in the inbox, if anything is; returns whether there may be more."""
        blocks, places = inbox.next_arrivals(self._ledger, ARRIVALS)
        if not blocks:
            return False
        lane = inbox.lane_of(self._ledger, places[0])
        with self.taking_in(blocks, lane):
            inbox.taken_in(self._ledger, places)
        return True

    @contextmanager
    def taking_in(self, blocks: Sequence[Block], lane: int) -> Iterator[sqlite3.Connection]:
        """Runs the first half of the graph over blocks, and commits what came of it.

        The body of the ``with`` block belongs to the same transaction, on the connection that
        it gets: whatever says that these blocks are in is true exactly if they are.
        """
        gathered = _Gathered()
        counts = self._run(self._intake, INTAKE, Tray(blocks, gathered.put))
        now = micros(self._job.clock())
        changes = [change for patch in gathered.patches for change in patch.changes]
        with transaction(self._ledger):
            intake = waiting.Intake(changes, gathered.outcomes, lane)
            hold = micros(self._job.hold_seconds)
            waiting.take_in(self._ledger, intake, now, hold)
            guard.watch_exits(self._ledger, changes, self._job.guard, now)
            history.bury(self._ledger, gathered.dead_letters)
            history.add_totals(
                self._ledger,
                {
                    "records": counts["parse/in-records"],
                    "unreadable": counts["parse/out-dead-letters"],
                    "unmapped": counts["map/out-unmapped"],
                    "changes": counts["map/out-changes"] + counts["map/out-rejected"],
                },
            )
            yield self._ledger

    def deliver(self) -> bool:
        """Sends what is due and affordable, if anything is; returns whether anything was."""
        # Nothing is under way here that could bring a prospect back.
        forgetting.forget_again(self._ledger)
        now = self._job.clock()
        patches: list[Patch] = []
        allotments: dict[str, Allotment] = {}
        for access in self._ready(now):
            budget = self._budget(access, now)
            most = min(self._most, budget.available(now))
            turns = waiting.next_patches(self._ledger, access.name, most, micros(now))
            if not turns:
                continue
            # One more for every hundred: many prospects are read before they are written.
            granted, _ = budget.take(len(turns) + len(turns) // 100, now)
            accounts.save_budget(self._ledger, access.name, budget)
            allotments[access.name] = Allotment(budget, granted)
            patches += turns
        if not patches:
            return False
        self._send(patches, allotments, now)
        return True

    def next_at(self, *, paused: bool = True) -> float | None:
        """When there is something to deliver again, in seconds; None where nothing waits.

        Args:
          paused: whether what waits for a paused user counts.
        """
        now = self._job.clock()
        found: list[float] = []
        for access in self._job.accesses:
            due = waiting.next_due(self._ledger, access.name)
            if due is None:
                continue
            ready = self._budget(access, now).next_at(now)
            if access.name in self.problems:
                if not paused:
                    continue
                ready = self._tried_at[access.name] + PAUSED_SECONDS
            found.append(max(due / 1e6, ready))
        return min(found, default=None)

    def _ready(self, now: float) -> list[Access]:
        return [
            access
            for access in self._job.accesses
            if access.name not in self.problems
            or now >= self._tried_at[access.name] + PAUSED_SECONDS
        ]

    def _budget(self, access: Access, now: float) -> Budget:
        if access.name not in self._budgets:
            self._budgets[access.name] = accounts.load_budget(
                self._ledger, access.name, access.budget, now
            )
        return self._budgets[access.name]

    def _send(
        self, patches: Sequence[Patch], allotments: dict[str, Allotment], began: float
    ) -> None:
        if self._job.announce is not None:
            self._job.announce(self._beyond(patches))
        results = _Results(self._ledger, self._job.clock)
        outlet = Outlet(self._desk, allotments, lasting=True, until=began + 2 * RUN_SECONDS)
        try:
            counts = self._run(self._delivery, DELIVERY, Tray(patches, results.put, outlet))
        finally:
            results.commit()
            for name, allotment in allotments.items():
                allotment.close()
                accounts.save_budget(self._ledger, name, self._budgets[name])
        with transaction(self._ledger):
            names = ("requests", "throttled")
            history.add_totals(self._ledger, {name: counts[f"patch/{name}"] for name in names})
            for kept in results.kept:
                waiting.postpone(self._ledger, kept.patches, micros(self._job.clock()))
        self._note_pauses(results.kept, allotments)
        took = max(0.1, self._job.clock() - began)
        self._most = max(PATCHES_FIRST, min(PATCHES_MOST, int(len(patches) * RUN_SECONDS / took)))

    def _beyond(self, patches: Sequence[Patch]) -> dict[str, int]:
        taken = Counter(patch.user for patch in patches)
        queued = waiting.prospects(self._ledger)
        return {user: count - taken[user] for user, count in queued.items()}

    def _note_pauses(self, kept: Sequence[Kept], allotments: dict[str, Allotment]) -> None:
        now = self._job.clock()
        paused = {one.user: one.problem for one in kept if one.problem}
        for user in allotments:
            if user in paused:
                self.problems[user] = paused[user]
                self._tried_at[user] = now
            elif self.problems.pop(user, None) is None:
                continue
            accounts.set_paused(self._ledger, user, paused.get(user), micros(now))

    def _run(self, half: Callable[[beam.Pipeline], None], name: str, tray: Tray) -> Counts:
        pipeline = beam.Pipeline(runner=FnApiRunner())
        half(pipeline)
        with offered(name, tray):
            result = pipeline.run()
            result.wait_until_finish()
        return Counts.of(result)

    def _activation(self) -> Activation:
        job = self._job
        patch = PatchProspects(
            job.base_url, job.accesses, job.delivery, job.watch, OutletOf(DELIVERY), job.clock
        )
        return Activation(job.plan, Coalesce(clock=job.clock), patch)

    def _intake(self, pipeline: beam.Pipeline) -> None:
        gathered = self._activation().gather(pipeline, Given(INTAKE, Block))
        gathered.patches | "Patches" >> Put(INTAKE, "patches")
        gathered.dead_letters | "DeadLetters" >> Put(INTAKE, "dead_letters")
        for place, outcomes in enumerate(gathered.outcomes):
            outcomes | f"Outcomes{place}" >> Put(INTAKE, "outcomes")

    def _delivery(self, pipeline: beam.Pipeline) -> None:
        patches = pipeline | "Queue" >> Given(DELIVERY, Patch)
        result = self._activation().deliver(patches)
        result.outcomes | "Outcomes" >> Put(DELIVERY, "outcome")
        result.kept | "Kept" >> Put(DELIVERY, "kept")


class _Results:
    """What a delivery run puts on its tray: committed a few at a time, while it runs."""

    def __init__(self, ledger: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._outcomes: list[Outcome] = []
        self._committed_at = clock()
        self.kept: list[Kept] = []

    def put(self, kind: str, result: Any) -> None:  # noqa: ANN401 - what the kind says
        if kind == "kept":
            self.kept.append(result)
            return
        self._outcomes.append(result)
        waited = self._clock() - self._committed_at
        if len(self._outcomes) >= COMMIT_OUTCOMES or waited >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            with transaction(self._ledger):
                history.settle_sent(self._ledger, outcomes)
        self._committed_at = self._clock()
