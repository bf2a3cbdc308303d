"""Has what waits delivered by bulk actions, where enough prospects get the same value.

Two-phase, always: a batch is created, waits until Outreach says how many records it is about to
change, and is confirmed only if that is no more than were named. Its members are in the ledger
before it is created, and that it is confirmed before it is; so that whatever process comes next
finds it, asks Outreach how it stands, and goes on. Nothing else writes these fields meanwhile.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Sequence

from pipeline.engine.bulk.read_back import ReadBack, Revise
from pipeline.engine.bulk.settings import MOST_ON_THEIR_WAY, TRIAL_PROSPECTS
from pipeline.engine.config import EngineConfig
from pipeline.engine.inquiries import Inquiries
from pipeline.engine.user_schedule import UserSchedule
from pipeline.ledger import history
from pipeline.ledger.bulk import batches, members
from pipeline.ledger.bulk.batches import CONFIRMED, CREATED, ENDED, PLANNED, LedgerBatch
from pipeline.ledger.directory import entries
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.errors import CredentialError
from transforms.outreach.requests import bulk
from transforms.outreach.requests.bulk import BatchStatus, BulkModify, Refusal
from transforms.outreach.requests.requester import NotAllowedError, NotNow, Requester

_log = logging.getLogger(__name__)

POLL_FIRST_SECONDS = 1.0
POLL_MOST_SECONDS = 15.0
"""How often it is asked how batches stand: ever less often while nothing changes."""
REQUESTS_AT_ONCE = 20


class BulkCourier:
    """Plans batches and sees them through, a step at a time.

    Args:
      ledger: a connection, used by one thread at a time.
      config: of the engine.
      inquiries: asks Outreach.
      schedules: the users.
      revise: is given outcomes, and returns those that are to be recorded.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        config: EngineConfig,
        inquiries: Inquiries,
        schedules: Sequence[UserSchedule],
        revise: Revise,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._inquiries = inquiries
        self._schedules = schedules
        self._read_back = ReadBack(ledger, config.clock, config.directory.object, revise)
        self._off: dict[str, str] = {}
        self._poll_at: dict[str, float] = {}
        self._poll_seconds: dict[str, float] = {}
        self._never = sorted(config.plan.if_empty)

    @property
    def enabled(self) -> bool:
        """Whether there may be batches, of this process or of one before it."""
        is_on = self._config.bulk.enabled and not self._config.dry_run
        return is_on or members.is_any(self._ledger)

    def plan(self, least_waiting: int) -> None:
        """Puts what is due and worth it into batches, so that nothing else sends it.

        Args:
          least_waiting: prospects that wait at least before it is looked what they wait for.
        """
        settings = self._config.bulk
        if not settings.enabled or self._config.dry_run:
            return
        for schedule in self._schedules:
            user = schedule.name
            if user in self._off or not schedule.has_backlog(least_waiting, self._now()):
                continue
            proved = batches.is_proved(self._ledger, user)
            tried = proved or bool(batches.open_batches(self._ledger, user))
            least = settings.min_prospects
            with transaction(self._ledger):
                for group in batches.groups(self._ledger, user, self._now(), least, self._never):
                    left = group.prospects
                    while left > 0:
                        most = settings.max_ids if tried else min(settings.max_ids, TRIAL_PROSPECTS)
                        made = batches.plan(self._ledger, user, group, most, self._now())
                        tried = True
                        if not made.prospects:
                            batches.release(self._ledger, made.number, self._now())
                            break
                        left -= made.prospects

    def step(self) -> bool:
        """Sees all batches one step further; returns whether anything was done."""
        if not self.enabled:
            return False
        busy = False
        for schedule in self._schedules:
            if batches.open_batches(self._ledger, schedule.name):
                busy |= self._attempt(schedule)
        return busy

    def next_at(self) -> float:
        """When there is something to do again, in seconds since the epoch; infinity for never."""
        if not self.enabled:
            return math.inf
        found = [
            max(
                self._poll_at.get(schedule.name, 0.0),
                self._inquiries.next_at_of(schedule),
            )
            for schedule in self._schedules
            if batches.open_batches(self._ledger, schedule.name)
        ]
        return min(found, default=math.inf)

    def _attempt(self, schedule: UserSchedule) -> bool:
        user, done = schedule.name, False

        async def work(requester: Requester) -> None:
            nonlocal done
            done = await self._see_through(requester)

        try:
            self._inquiries.run_as(schedule, REQUESTS_AT_ONCE, work)
        except NotNow:
            return False
        except NotAllowedError as refusal:
            self._give_up(user, str(refusal))
            return True
        except CredentialError:
            return False  # Its deliveries say so.
        return done

    async def _see_through(self, requester: Requester) -> bool:
        user = requester.user
        found = batches.open_batches(self._ledger, user)
        busy = await self._read_back.after(requester)
        busy |= self._settle(user)
        busy |= await self._create(requester, [each for each in found if each.state == PLANNED])
        away = [each for each in found if each.state in (CREATED, CONFIRMED)]
        if away and self._config.clock() >= self._poll_at.get(user, 0.0):
            busy |= await self._poll(requester, away)
        return busy

    async def _create(self, requester: Requester, planned: Sequence[LedgerBatch]) -> bool:
        user, busy = requester.user, False
        proved = batches.is_proved(self._ledger, user)
        unread = [each.number for each in planned if not each.was_read]
        if unread:
            await self._read_back.before(requester, unread)
            busy = True
        for batch in planned:
            ids = members.members(self._ledger, batch.number)
            if not ids:
                self._release(batch)
                continue
            away = sum(
                each.state in (CREATED, CONFIRMED, ENDED)
                for each in batches.open_batches(self._ledger, user)
            )
            if away >= (MOST_ON_THEIR_WAY if proved else 1) or user in self._off:
                break
            await self._create_one(requester, batch, ids)
            busy = True
        return busy

    async def _create_one(
        self, requester: Requester, batch: LedgerBatch, ids: Sequence[int]
    ) -> None:
        if not batches.is_proved(self._ledger, requester.user):
            ids = ids[:TRIAL_PROSPECTS]
            self._shrink(batch, ids)
        kind = self._config.directory.object.plural
        modify = BulkModify.of(batch.field, batch.value, ids, kind)
        made = await bulk.create(requester, modify)
        if isinstance(made, Refusal):
            self._give_up(requester.user, made.verdict.detail)
            return
        self._soon(requester.user)
        with transaction(self._ledger, durable=True):
            batches.set_state(self._ledger, batch.number, CREATED, self._now(), batch_id=made.id)

    async def _poll(self, requester: Requester, away: Sequence[LedgerBatch]) -> bool:
        user = requester.user
        found = await bulk.read(requester, [int(each.batch_id or 0) for each in away])
        changed = False
        for batch in away:
            changed |= await self._advance(requester, batch, found.get(int(batch.batch_id or 0)))
        if changed:
            self._soon(user)
        else:
            seconds = min(POLL_MOST_SECONDS, 1.5 * self._poll_seconds.get(user, POLL_FIRST_SECONDS))
            self._poll_seconds[user] = seconds
            self._poll_at[user] = self._config.clock() + seconds
        return changed

    async def _advance(
        self, requester: Requester, batch: LedgerBatch, status: BatchStatus | None
    ) -> bool:
        """Does what a batch's state asks for; returns whether it has another one now."""
        if status is None or status.ended:
            failures = 0 if status is None else status.failures
            self._end(batch, None if status is None else status.state, failures)
            return True
        age = self._config.clock() - batch.changed_at / 1e6
        if age > self._config.bulk.give_up_seconds:
            await bulk.cancel(requester, status.id)
            self._end(batch, f"it did not end within {self._config.bulk.give_up_seconds:g} s")
            return True
        if status.state != bulk.CONFIRMING or status.confirm_count is None:
            return False
        if not 0 < status.confirm_count <= batch.prospects:
            await bulk.cancel(requester, status.id)
            self._end(batch, f"it was about to change {status.confirm_count} records")
            self._give_up(
                requester.user,
                f"a batch of {batch.prospects:,} prospects was about to change"
                f" {status.confirm_count:,} records, and was cancelled",
            )
            return True
        ids = members.members(self._ledger, batch.number)
        with transaction(self._ledger, durable=True):
            history.doubt_fields(self._ledger, ids, batch.field)
            entries.doubt(self._ledger, ids, self._now())
            if batch.state == CREATED:
                batches.set_state(self._ledger, batch.number, CONFIRMED, self._now())
        await bulk.confirm(requester, status)  # Refused or not: how it stands is asked next.
        return True

    def _end(self, batch: LedgerBatch, state: str | None, failures: int = 0) -> None:
        """Notes that nothing more happens with a batch: its prospects are read next."""
        note = None if state == "finished" else f"ended as {state or 'unknown to Outreach'}"
        with transaction(self._ledger, durable=True):
            batches.set_state(
                self._ledger, batch.number, ENDED, self._now(), failures=failures, note=note
            )

    def _settle(self, user: str) -> bool:
        with transaction(self._ledger):
            done = batches.settle(self._ledger, user, self._now())
        for batch in done:
            left = batch.prospects - batch.kept - batch.gone - batch.failures
            _log.info(
                "bulk: %s = %s, %d of %d prospects hold it; %d go alone",
                batch.field,
                batch.value,
                batch.kept,
                batch.prospects,
                left,
            )
            if (left or batch.note) and not batches.is_proved(self._ledger, user):
                self._give_up(user, "the first batch did not come out right")
        return bool(done)

    def _give_up(self, user: str, why: str) -> None:
        """Uses no more batches for a user until the next start; what was planned goes alone."""
        if user not in self._off:
            _log.warning(
                "bulk actions are off for user %s until the next start, and its prospects are"
                " written one by one: %s",
                user,
                why,
            )
        self._off[user] = why
        with transaction(self._ledger):
            for batch in batches.open_batches(self._ledger, user):
                if batch.state == PLANNED:
                    batches.release(self._ledger, batch.number, self._now(), why)

    def _release(self, batch: LedgerBatch) -> None:
        with transaction(self._ledger):
            batches.release(self._ledger, batch.number, self._now())

    def _shrink(self, batch: LedgerBatch, ids: Sequence[int]) -> None:
        """Leaves a batch the first so many of its members; the others wait as before."""
        with transaction(self._ledger):
            members.keep_only(self._ledger, batch.number, ids)

    def _soon(self, user: str) -> None:
        self._poll_seconds[user] = POLL_FIRST_SECONDS
        self._poll_at[user] = self._config.clock() + POLL_FIRST_SECONDS

    def _now(self) -> int:
        return micros(self._config.clock())
