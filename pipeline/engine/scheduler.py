"""The loop: the graph over a ledger, its two halves in turn, each run a durable step.

An intake commits all that came of it at once. A delivery is of the prospects whose turn it is
and that the budget allows, and commits each outcome as it becomes known. The process may die
anywhere between two commits.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.engine.beam_steps import DELIVERY, BeamSteps, StepOutlet
from pipeline.engine.bulk.courier import BulkCourier
from pipeline.engine.config import PATCHES_LEAST, PATCHES_MOST, EngineConfig
from pipeline.engine.inquiries import Inquiries
from pipeline.engine.org.reader import OrgReader
from pipeline.engine.outcome_committer import OutcomeCommitter
from pipeline.engine.refreshes import Refreshes
from pipeline.engine.resumption import resume
from pipeline.engine.standings import standings
from pipeline.engine.user_schedule import UserSchedule, WriteAheadGrant
from pipeline.ledger import erasure, guard, history, inbox, queue, waiting
from pipeline.ledger.directory import entries, exclusions, unresolved
from pipeline.ledger.directory.lookup import LedgerLookup
from pipeline.ledger.inbox import BACKFILL, BACKFILL_SHARE, LIVE
from pipeline.ledger.oversight import actions
from pipeline.ledger.refresh import Refresh
from pipeline.ledger.store import path_of, transaction
from transforms.clock import micros
from transforms.elements import Block
from transforms.matching import BY_ID
from transforms.outreach.delivery import UserProgress
from transforms.outreach.read_before_write import READ_LEAST
from transforms.outreach.sender_pool import SenderPool
from transforms.stages.patch import Outlet, PatchProspects, Rehearse

PAUSE_LOOK_SECONDS = 1.0
"""How often a job that a person paused looks whether it may go on."""
ARRIVALS = 20_000
"""Messages taken in between two turns, at most."""


class Scheduler:
    """Runs a job over a ledger that this process owns; one thread at a time.

    Args:
      ledger: a connection, used by one thread at a time, whichever.
      config: what to do.
      committed: is called whenever there may be something new to write out, on any thread.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        config: EngineConfig,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._steps = BeamSteps(
            config.plan,
            Rehearse()
            if config.dry_run
            else PatchProspects(
                config.base_url,
                config.accesses,
                config.delivery,
                outlet=StepOutlet(DELIVERY),
                clock=config.clock,
            ),
            config.clock,
            LedgerLookup(path_of(ledger), config.plan.match, config.directory.hashed),
        )
        self._refreshes = Refreshes(config)
        self._ledger = ledger
        self._committed = committed
        self._committer: OutcomeCommitter | None = None
        self._most = config.patches_first
        now = config.clock()
        resume(ledger, config, now)
        self._schedules = [UserSchedule(each, self._ledger, now) for each in config.accesses]
        self._pool = SenderPool(config.base_url, config.delivery, config.clock)
        inquiries = Inquiries(ledger, self._pool, self._schedules, config.clock)
        self.org = OrgReader(ledger, config, inquiries)
        self._bulk = BulkCourier(ledger, config, inquiries, self._schedules, self.org.revise)

    @property
    def problems(self) -> list[str]:
        """Why users are paused, and what mends it."""
        return [each.problem for each in self._schedules if each.problem is not None]

    @property
    def troubles(self) -> dict[str, str]:
        """By user, what requests meet where all of them meet trouble."""
        found = {each.name: self._pool.trouble(each.name) for each in self._schedules}
        return {user: trouble for user, trouble in found.items() if trouble is not None}

    def close(self) -> None:
        """Closes the connections to Outreach."""
        self._pool.close()

    def take_in_messages(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Takes in what is in the inbox, or some of it; returns whether anything was.

        Args:
          stopped: whether to leave the rest there.
        """
        self._refreshes.drop_stale(self._ledger, self._config.clock())
        live = self._take_in_lane(LIVE, ARRIVALS, stopped)
        # However many live ones come, the backfill's are not left in the inbox.
        share = max(ARRIVALS - live, ARRIVALS // BACKFILL_SHARE)
        return self._take_in_lane(BACKFILL, share, stopped) + live > 0

    @contextmanager
    def taking_in(
        self, blocks: Sequence[Block], lane: int, arrived_at: waiting.ArrivedAt | None = None
    ) -> Iterator[sqlite3.Connection]:
        """Runs the first half of the graph over blocks, and commits what came of it.

        The body of the ``with`` block belongs to the same transaction, on the connection that
        it gets: whatever says that these blocks are in is true exactly if they are.

        `arrived_at` tells when each change arrived; None for now, as the blocks were just read.
        """
        self._settle()
        read_at = micros(self._config.clock())
        arrived_at = arrived_at or (lambda _: read_at)
        arrived = self._steps.take_in(blocks)
        now = micros(self._config.clock())
        changes = arrived.changes
        with transaction(self._ledger):
            intake = waiting.Intake(changes, arrived.outcomes, lane, arrived_at)
            hold = micros(self._config.hold_seconds)
            waiting.take_in(self._ledger, intake, now, hold, self._config.believed_since(now))
            guard.watch_exits(self._ledger, changes, self._config.guard, now)
            self._refreshes.take_in(self._ledger, blocks, now)
            history.bury(self._ledger, arrived.dead_letters)
            unresolved.put(self._ledger, arrived.unresolved, lane, now, arrived_at=arrived_at)
            exclusions.put(self._ledger, arrived.exclusions, now)
            history.add_totals(self._ledger, arrived.totals)
            yield self._ledger
        self._committed()

    def mirror(self, whole: Refresh) -> int:
        """Has those leave who are not in a whole audience; returns how many."""
        self._settle()
        with transaction(self._ledger):
            return self._refreshes.apply(self._ledger, whole, micros(self._config.clock()))

    def deliver(self) -> bool:
        """Sends what is due and affordable, if anything is; returns whether anything was."""
        self._settle()
        # Nothing is under way here that could bring a prospect back.
        erasure.forget_again(self._ledger)
        if actions.paused_at(self._ledger) is not None:
            return False
        self._bulk.plan(self._config.bulk.min_prospects)
        self.org.accounts.prepare()
        now = self._config.clock()
        given: dict[UserSchedule, queue.Turns] = {}
        for schedule in self._schedules:
            # What is not sent costs nothing, and nothing of it has to wait.
            least = self._least(schedule, now)
            affordable = (
                self._most if self._config.dry_run else min(self._most, schedule.turn(now, least))
            )
            if affordable and self._pool.held_until(schedule.name) <= now:
                spare = schedule.spare(now, self._config.live_share, least)
                turns = queue.next_turns(
                    self._ledger,
                    schedule.name,
                    affordable,
                    micros(now),
                    schedule.owed,
                    None if self._config.dry_run else spare,
                )
                if turns.patches:
                    given[schedule] = turns
        if not given:
            return False
        patches = [patch for turns in given.values() for patch in turns.patches]
        self._pool.accounts = self.org.accounts.ids(c for each in patches for c in each.changes)
        with transaction(self._ledger, durable=True):
            history.doubt(self._ledger, patches)
            entries.doubt(self._ledger, (each.outreach_id for each in patches), micros(now))
        self._send(given, now)
        return True

    def tend(self) -> bool:
        """Reads the org where that is due and nothing live waits; whether anything was done."""
        self._settle()
        if actions.paused_at(self._ledger) is not None:
            return False
        now = micros(self._config.clock())
        live = any(schedule.has_live_work(now) for schedule in self._schedules)
        busy = self._bulk.step() | self.org.tend(may_pull=not live)
        if busy and self._config.plan.match != BY_ID:
            with transaction(self._ledger):
                self._refreshes.complete(self._ledger, now)
        return busy

    def next_at(self, *, paused: bool = True) -> float | None:
        """When there is something to deliver again, in seconds; None where nothing waits.

        Args:
          paused: whether what waits for a paused user counts.
        """
        now = self._config.clock()
        if actions.paused_at(self._ledger) is not None:
            return now + PAUSE_LOOK_SECONDS
        others = (self.org.next_at(), self._bulk.next_at())
        found = [at for at in others if at != math.inf]
        for schedule in self._schedules:
            for lane in (LIVE, BACKFILL):
                due = queue.next_due(self._ledger, schedule.name, (lane,))
                if due is not None and self._config.dry_run:
                    found.append(due / 1e6)
                elif due is not None and (paused or schedule.problem is None):
                    found.append(max(due / 1e6, self._ready_at(schedule, lane, now)))
        return min(found, default=None)

    def _ready_at(self, schedule: UserSchedule, lane: int, now: float) -> float:
        """When a user can send what is due in a lane."""
        least = self._least(schedule, now)
        ready = schedule.next_turn_at(now, least)
        if lane == BACKFILL:
            ready = max(ready, schedule.next_backfill_at(now, self._config.live_share, least))
        return max(ready, self._pool.held_until(schedule.name))

    def standings(self) -> list[UserProgress]:
        """What each user with something to send waits for, for people."""
        now = self._config.clock()
        give_up = self._config.delivery.give_up_seconds
        ready = {each: each.next_turn_at(now, self._least(each, now)) for each in self._schedules}
        return standings(self._ledger, self._pool, ready, give_up, now)

    def _least(self, schedule: UserSchedule, now: float) -> int:
        # A backlog is sent in turns that are large enough to be read before they are written:
        # what trickles out of a spent budget would go unread, and much of it for nothing.
        backlog = queue.is_backlog(self._ledger, schedule.name, micros(now), READ_LEAST)
        return READ_LEAST if backlog else 1

    def _take_in_lane(self, lane: int, most: int, stopped: Callable[[], bool]) -> int:
        done = 0
        while done < most and not stopped():
            blocks, places, received = inbox.next_arrivals(
                self._ledger, lane, most - done, self._config.intake_bytes
            )
            if not blocks:
                break
            with self.taking_in(blocks, lane, inbox.Arrivals(blocks, received)):
                inbox.taken_in(self._ledger, places)
            done += len(places)
        return done

    def _send(self, given: dict[UserSchedule, queue.Turns], began: float) -> None:
        config = self._config
        patches = [patch for turns in given.values() for patch in turns.patches]
        grants: dict[str, WriteAheadGrant] = {
            each.name: each.grant(len(turns.patches)) for each, turns in given.items()
        }
        if config.announce is not None:
            queued = queue.prospects(self._ledger)
            taken = {each.name: len(turns.patches) for each, turns in given.items()}
            config.announce({user: count - taken.get(user, 0) for user, count in queued.items()})
        committer = OutcomeCommitter(
            self._ledger, list(given), config.clock, config.watch, self._committed, self.org.revise
        )
        self._committer = committer
        until = began + 2 * config.turn_seconds
        outlet = Outlet(self._pool, grants, lasting=True, until=until, watch=committer.watch)
        try:
            counts = self._steps.deliver(patches, outlet, committer.put)
            committer.end({name: counts[f"patch/{name}"] for name in ("requests", "throttled")})
        finally:
            for grant in grants.values():
                grant.close()
            self._note(given, committer)
            self._settle()
        took = max(0.1, config.clock() - began)
        most = int(len(patches) * config.turn_seconds / took)
        self._most = max(PATCHES_LEAST, min(PATCHES_MOST, most))

    def _note(self, given: dict[UserSchedule, queue.Turns], committer: OutcomeCommitter) -> None:
        now = self._config.clock()
        problems = {one.user: one.problem for one in committer.kept if one.problem}
        idle = {
            one.user for one in committer.kept if any(not each.not_before for each in one.patches)
        } - committer.outcomes.keys()
        for schedule, turns in given.items():
            barren = schedule.name in idle
            schedule.ended(turns, problems.get(schedule.name), now, barren=barren)

    def _settle(self) -> None:
        """Commits what a turn brought; until it is, nothing else is done with the ledger."""
        if self._committer is not None:
            self._committer.settle()
            self._committer = None
