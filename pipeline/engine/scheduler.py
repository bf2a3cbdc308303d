"""The loop: the graph over a ledger, its two halves in turn, each run a durable step.

An intake commits all that came of it at once. A delivery is of the prospects whose turn it is
and that the budget allows, and commits each outcome as it becomes known. The process may die
anywhere between two commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.engine.beam_steps import DELIVERY, Halves
from pipeline.engine.outcome_committer import Turn
from pipeline.engine.user_schedule import Account, Advance
from pipeline.handover import OutletOf
from pipeline.ledger import erasure, guard, history, inbox, queue, waiting
from pipeline.ledger import users as accounts
from pipeline.ledger.guard import GuardTerms
from pipeline.ledger.inbox import BACKFILL, BACKFILL_SHARE, LIVE
from pipeline.ledger.store import transaction
from transforms import mapping
from transforms.clock import micros, steady
from transforms.elements import Block
from transforms.outreach.backoff import HOLD_MOST_SECONDS
from transforms.outreach.delivery import Standing
from transforms.outreach.read_before_write import READ_LEAST
from transforms.outreach.sender import Delivery
from transforms.outreach.sender_pool import Access, Desk, Watch
from transforms.stages.patch import Outlet, PatchProspects, Rehearse

ARRIVALS = 20_000
"""Messages taken in between two turns, at most."""
TURN_SECONDS = 5.0
"""What a turn aims to take where something may arrive meanwhile, which waits for its end."""
PATCHES_LEAST = 600
"""Prospects of a turn, where so many are due: as many as one request reads."""
PATCHES_MOST = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a loop does.

    Attributes:
      plan: what goes where.
      base_url: of the API.
      accesses: the users.
      delivery: how patches are sent.
      hold_seconds: how long a prospect's changes are gathered.
      turn_seconds: what a turn aims to take; it starts no request for longer than twice that.
      patches_first: prospects of the first turn, when it is not known how long they take.
      guard: when an audience that empties is held.
      watch: see `transforms.outreach.sender_pool.Watch`.
      announce: is told before each delivery how many more prospects of each user wait.
      clock: seconds since the epoch.
      dry_run: nothing is sent; all that would have been counts as delivered.
    """

    plan: mapping.Plan
    base_url: str
    accesses: Sequence[Access]
    delivery: Delivery
    hold_seconds: float = 0.0
    turn_seconds: float = TURN_SECONDS
    patches_first: int = PATCHES_LEAST
    guard: GuardTerms = field(default_factory=GuardTerms)
    watch: Watch | None = None
    announce: Callable[[Mapping[str, int]], None] | None = None
    clock: Callable[[], float] = steady
    dry_run: bool = False


class Loop:
    """Runs a job over a ledger that this process owns; one thread at a time.

    Args:
      ledger: a connection, used by one thread at a time, whichever.
      job: what to do.
      committed: is called whenever there may be something new to write out, on any thread.
    """

    def __init__(
        self, ledger: sqlite3.Connection, job: Job, committed: Callable[[], None] = lambda: None
    ) -> None:
        self._job = job
        self._halves = Halves(
            job.plan,
            Rehearse()
            if job.dry_run
            else PatchProspects(
                job.base_url,
                job.accesses,
                job.delivery,
                outlet=OutletOf(DELIVERY),
                clock=job.clock,
            ),
            job.clock,
        )
        self._ledger = ledger
        self._committed = committed
        self._turn: Turn | None = None
        self._most = job.patches_first
        now = job.clock()
        self._resume(now)
        self._accounts = [Account(each, self._ledger, now) for each in job.accesses]
        self._desk = Desk(job.base_url, job.delivery, job.clock)

    @property
    def problems(self) -> list[str]:
        """Why users are paused, and what mends it."""
        return [each.problem for each in self._accounts if each.problem is not None]

    @property
    def troubles(self) -> dict[str, str]:
        """By user, what requests meet where all of them meet trouble."""
        found = {each.name: self._desk.trouble(each.name) for each in self._accounts}
        return {user: trouble for user, trouble in found.items() if trouble is not None}

    def close(self) -> None:
        """Closes the connections to Outreach."""
        self._desk.close()

    def take_in_messages(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Takes in what is in the inbox, or some of it; returns whether anything was.

        Args:
          stopped: whether to leave the rest there.
        """
        live = self._take_in_lane(LIVE, ARRIVALS, stopped)
        # However many live ones come, the backfill's are not left in the inbox.
        share = max(ARRIVALS - live, ARRIVALS // BACKFILL_SHARE)
        return self._take_in_lane(BACKFILL, share, stopped) + live > 0

    @contextmanager
    def taking_in(self, blocks: Sequence[Block], lane: int) -> Iterator[sqlite3.Connection]:
        """Runs the first half of the graph over blocks, and commits what came of it.

        The body of the ``with`` block belongs to the same transaction, on the connection that
        it gets: whatever says that these blocks are in is true exactly if they are.
        """
        self._settle()
        arrived = self._halves.take_in(blocks)
        counts = arrived.counts
        now = micros(self._job.clock())
        changes = arrived.changes
        with transaction(self._ledger):
            intake = waiting.Intake(changes, arrived.outcomes, lane)
            waiting.take_in(self._ledger, intake, now, micros(self._job.hold_seconds))
            guard.watch_exits(self._ledger, changes, self._job.guard, now)
            history.bury(self._ledger, arrived.dead_letters)
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
        self._committed()

    def deliver(self) -> bool:
        """Sends what is due and affordable, if anything is; returns whether anything was."""
        self._settle()
        # Nothing is under way here that could bring a prospect back.
        erasure.forget_again(self._ledger)
        now = self._job.clock()
        given: dict[Account, queue.Turns] = {}
        for account in self._accounts:
            affordable = min(self._most, account.affordable(now, self._least(account, now)))
            if affordable and self._desk.held_until(account.name) <= now:
                turns = queue.next_turns(
                    self._ledger, account.name, affordable, micros(now), account.owed
                )
                if turns.patches:
                    given[account] = turns
        if not given:
            return False
        with transaction(self._ledger, durable=True):
            for turns in given.values():
                history.doubt(self._ledger, turns.patches)
        self._send(given, now)
        return True

    def next_at(self, *, paused: bool = True) -> float | None:
        """When there is something to deliver again, in seconds; None where nothing waits.

        Args:
          paused: whether what waits for a paused user counts.
        """
        now = self._job.clock()
        found: list[float] = []
        for account in self._accounts:
            due = queue.next_due(self._ledger, account.name)
            if due is not None and (paused or account.problem is None):
                held_until = self._desk.held_until(account.name)
                ready = account.next_at(now, self._least(account, now))
                found.append(max(due / 1e6, ready, held_until))
        return min(found, default=None)

    def standings(self) -> list[Standing]:
        """What each user with something to send waits for, for people."""
        now = self._job.clock()
        queued = queue.prospects(self._ledger)
        return [
            account.standing(
                now, account.next_at(now, self._least(account, now)), queued[account.name]
            )
            for account in self._accounts
            if account.name in queued
        ]

    def _least(self, account: Account, now: float) -> int:
        # A backlog is sent in turns that are large enough to be read before they are written:
        # what trickles out of a spent budget would go unread, and much of it for nothing.
        backlog = queue.is_backlog(self._ledger, account.name, micros(now), READ_LEAST)
        return READ_LEAST if backlog else 1

    def _resume(self, now: float) -> None:
        job = self._job
        longest = max(HOLD_MOST_SECONDS, job.hold_seconds)
        with transaction(self._ledger):
            accounts.name_users(self._ledger, {each.name: each.budget for each in job.accesses})
            guard.name_audiences(self._ledger, job.plan.audiences)
            queue.resume(
                self._ledger,
                [each.name for each in job.accesses],
                mapping.Mapping(job.plan).user_of,
                micros(now),
                micros(now + job.hold_seconds),
                micros(now + longest),
            )

    def _take_in_lane(self, lane: int, most: int, stopped: Callable[[], bool]) -> int:
        done = 0
        while done < most and not stopped():
            blocks, places = inbox.next_arrivals(self._ledger, lane, most - done)
            if not blocks:
                break
            with self.taking_in(blocks, lane):
                inbox.taken_in(self._ledger, places)
            done += len(places)
        return done

    def _send(self, given: dict[Account, queue.Turns], began: float) -> None:
        job = self._job
        patches = [patch for turns in given.values() for patch in turns.patches]
        advances: dict[str, Advance] = {
            each.name: each.advance(turns) for each, turns in given.items()
        }
        if job.announce is not None:
            queued = queue.prospects(self._ledger)
            taken = {each.name: len(turns.patches) for each, turns in given.items()}
            job.announce({user: count - taken.get(user, 0) for user, count in queued.items()})
        turn = Turn(self._ledger, list(given), job.clock, job.watch, self._committed)
        self._turn = turn
        until = began + 2 * job.turn_seconds
        outlet = Outlet(self._desk, advances, lasting=True, until=until, watch=turn.watch)
        try:
            counts = self._halves.deliver(patches, outlet, turn.put)
            turn.end({name: counts[f"patch/{name}"] for name in ("requests", "throttled")})
        finally:
            for advance in advances.values():
                advance.close()
            self._note(given, turn)
            self._settle()
        took = max(0.1, job.clock() - began)
        most = int(len(patches) * job.turn_seconds / took)
        self._most = max(PATCHES_LEAST, min(PATCHES_MOST, most))

    def _note(self, given: dict[Account, queue.Turns], turn: Turn) -> None:
        now = self._job.clock()
        problems = {one.user: one.problem for one in turn.kept if one.problem}
        idle = {
            one.user for one in turn.kept if any(not each.not_before for each in one.patches)
        } - turn.outcomes.keys()
        for account, turns in given.items():
            barren = account.name in idle
            account.ended(turns, problems.get(account.name), now, barren=barren)

    def _settle(self) -> None:
        """Commits what a turn brought; until it is, nothing else is done with the ledger."""
        if self._turn is not None:
            self._turn.settle()
            self._turn = None
