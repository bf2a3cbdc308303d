"""The sender: one user's patches out, as fast as the budget allows and no faster.

Several requests in flight, at most one a prospect; every answer is learnt from; each change
ends in an outcome or stays in the queue. asyncio and aiohttp, no Beam.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from transforms.budget import Budget
from transforms.clock import micros
from transforms.elements import (
    DELIVERED,
    REJECTED,
    SUPERSEDED,
    UNCHANGED,
    Change,
    Outcome,
    Patch,
)
from transforms.errors import CredentialError, Trouble
from transforms.outreach.allotment import Allotment
from transforms.outreach.auth import Credential
from transforms.outreach.client import OutreachClient, Reply
from transforms.outreach.queue import Queue, Work
from transforms.outreach.reading import Reading, read_values, split_unchanged
from transforms.outreach.replies import Fate, Verdict, classify, read_limits

_log = logging.getLogger(__name__)

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How patches are sent.

    Attributes:
      in_flight: requests a user may have unanswered at once. Outreach documents no limit.
      give_up_seconds: how long a patch may meet nothing but server trouble.
    """

    in_flight: int = 16
    give_up_seconds: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a sender is doing, for people and for metrics.

    Attributes:
      user: name of the Outreach user.
      waiting: prospects in the queue, those in flight apart.
      troubled: of them, those that wait to be tried again.
      in_flight: requests without an answer.
      requests: sent so far.
      throttled: answers of 429 so far.
      throttled_seconds: spent with work to send and nothing allowed.
      available: requests the budget would allow now.
      allowance: requests the budget allows in its window.
      resumes_at: when waiting ends, seconds since the epoch; None if it does not wait.
      waits_for: why it waits; empty if it does not.
      paused: what is wrong with the user's credential, if it is paused.
    """

    user: str
    waiting: int
    troubled: int
    in_flight: int
    requests: int
    throttled: int
    throttled_seconds: float
    available: int
    allowance: int
    resumes_at: float | None
    waits_for: str
    paused: CredentialError | None


class Sender:
    """Sends one Outreach user's patches.

    Args:
      user: the user's name, for receipts and logs.
      client: shared by the senders of a worker.
      credential: of this user.
      budget: of this user; spent and corrected here.
      delivery: see `Delivery`.
      emit: is called with each outcome as it is known.
      clock: seconds since the epoch.
    """

    def __init__(
        self,
        user: str,
        client: OutreachClient,
        credential: Credential,
        budget: Budget | Allotment,
        delivery: Delivery,
        emit: Callable[[Outcome], None],
        clock: Callable[[], float],
    ) -> None:
        self._user = user
        self._client = client
        self._credential = credential
        self._budget = budget
        self._delivery = delivery
        self._emit = emit
        self._clock = clock
        self._queue = Queue()
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._until = math.inf
        self._held_until = 0.0
        self._waits_for = ""
        self._resumes_at: float | None = None
        self._trouble = 0
        self._last_trouble = ""
        self._refused_tokens: set[str] = set()
        self._reading = Reading()
        self._requests = 0
        self._throttled = 0
        self._throttled_seconds = 0.0
        self.paused: CredentialError | None = None

    def standing(self) -> Standing:
        """What this sender is doing now."""
        return Standing(
            self._user,
            len(self._queue),
            self._queue.delayed,
            self._queue.in_flight,
            self._requests,
            self._throttled,
            self._throttled_seconds,
            self._budget.available(self._clock()),
            self._budget.allowance,
            self._resumes_at,
            self._waits_for,
            self.paused,
        )

    def stop(self) -> None:
        """Starts no further request; `deliver` ends when those in flight are answered."""
        self._until = -math.inf
        self._news.set()

    async def deliver(self, patches: Iterable[Patch], until: float = math.inf) -> list[Patch]:
        """Sends patches until none is left, time is up, it is stopped, or the user is paused.

        Args:
          patches: at most one a prospect is best; others are merged.
          until: seconds since the epoch from which on no request is started.

        Returns:
          What has no outcome yet. Where `paused` is set, it says what must be mended first.
        """
        for patch in patches:
            self._superseded(self._queue.add(patch))
        self._until = min(self._until, until)
        workers = [
            asyncio.create_task(self._work())
            for _ in range(min(self._delivery.in_flight, max(1, len(self._queue))))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [
            Patch(work.outreach_id, self._user, work.all_changes()) for work in self._queue.clear()
        ]

    async def _work(self) -> None:
        while (task := await self._next()) is not None:
            work, token = task
            if isinstance(work, list):
                await self._read(work, token)
            else:
                await self._send(work, token)
            self._news.set()

    async def _next(self) -> tuple[Work | list[Work], str] | None:
        """The next to be sent, when it may be; a chunk of the queue where it is to be read."""
        async with self._turn:
            while not self._is_over():
                obstacle = self._obstacle(self._clock())
                if obstacle is not None:
                    await self._wait(*obstacle)
                    continue
                token = await self._token()
                if token is None:
                    continue
                granted, wait_seconds = self._budget.take(1, self._clock())
                if granted:
                    self._waits_for, self._resumes_at = "", None
                    return self._choose(), token
                if math.isinf(wait_seconds) and not self._queue.in_flight:
                    return None  # All that was allotted is spent.
                await self._wait(self._clock() + wait_seconds, "budget")
            return None

    def _is_over(self) -> bool:
        idle = not len(self._queue) and not self._queue.in_flight
        return idle or self.paused is not None or self._clock() >= self._until

    def _obstacle(self, now: float) -> tuple[float | None, str] | None:
        """What has to be waited for before anything is sent, and why; None where nothing is."""
        due = self._queue.wake(now)
        if not self._queue.ready:
            return due, self._last_trouble if due is not None else ""
        if self._held_until > now:
            return self._held_until, self._waits_for
        if self._queue.in_flight and self._goes_alone(now):
            return None, ""
        return None

    async def _token(self) -> str | None:
        try:
            return await self._credential.token(self._clock())
        except CredentialError as problem:
            self._pause(problem)
        except Trouble as trouble:
            self._hold(self._clock() + self._backoff(), str(trouble))
        return None

    def _goes_alone(self, now: float) -> bool:
        # What others spent shows only in an answer, and a server in trouble is not helped by more.
        return self._budget.needs_probe(now) or self._trouble >= self._delivery.in_flight

    def _choose(self) -> Work | list[Work]:
        if self._queue.next_is_unread():
            if self._reading.is_worth_it(self._queue.ready):
                return self._queue.take_unread(self._client.most_ids)
            self._queue.leave_unread(self._client.most_ids)
        return self._queue.take()

    async def _wait(self, until: float | None, why: str) -> None:
        """Until a time, or sooner if there is news."""
        began = self._clock()
        self._waits_for, self._resumes_at = why, until
        self._news.clear()
        ends = min(math.inf if until is None else until, self._until)
        seconds = None if math.isinf(ends) else max(0.0, ends - began)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        if why:
            self._throttled_seconds += self._clock() - began

    def _hold(self, until: float, why: str) -> None:
        self._held_until = max(self._held_until, until)
        self._waits_for = why

    def _backoff(self) -> float:
        # Full jitter: workers that met the same trouble do not come back together.
        self._trouble += 1
        return _jitter(self._trouble)

    def _pause(self, problem: CredentialError) -> None:
        if self.paused is None:
            self.paused = problem
            _log.error("user paused, its work is kept: %s", problem)
        self._news.set()

    async def _ask(self, request: Awaitable[Reply], token: str) -> tuple[Verdict, bytes]:
        """Awaits an answer and learns from it: the budget, the token, the server's state."""
        answers = self._budget.answers
        self._requests += 1
        try:
            reply = await request
        except Trouble as trouble:
            if trouble.sent:
                self._budget.unanswered(self._clock())
            else:
                self._budget.give_back()
                self._requests -= 1
            return Verdict(Fate.TROUBLE, "unavailable", str(trouble)), b""
        now = self._clock()
        self._budget.learn(read_limits(reply.headers), now, answers_when_sent=answers)
        verdict = classify(reply.status, reply.headers, reply.body, now)
        if verdict.fate is Fate.THROTTLED:
            self._throttled += 1
            self._budget.exhausted(verdict.retry_at or now + self._backoff(), now)
        elif verdict.fate is Fate.MAINTENANCE:
            self._hold(verdict.retry_at or now + self._backoff(), verdict.detail)
        elif verdict.fate is Fate.UNAUTHENTICATED:
            await self._replace(token, verdict)
        elif verdict.fate is not Fate.TROUBLE:
            self._trouble = 0
            self._refused_tokens.clear()
        return verdict, reply.body

    async def _replace(self, token: str, verdict: Verdict) -> None:
        """A token was refused: a fresh one is asked for, once."""
        self._refused_tokens.add(token)
        if len(self._refused_tokens) > 1:
            problem = f"a fresh token is refused too: {verdict.detail}"
            self._pause(CredentialError(self._user, problem, "connect the user again"))
            return
        try:
            await self._credential.refused(token, self._clock())
        except CredentialError as problem:
            self._pause(problem)
        except Trouble as trouble:
            self._hold(self._clock() + self._backoff(), str(trouble))

    async def _send(self, work: Work, token: str) -> None:
        attributes = ",".join(f'"{change.field}":{change.value}' for change in work.changes)
        verdict, _ = await self._ask(
            self._client.patch_prospect(work.outreach_id, f"{{{attributes}}}", token), token
        )
        match verdict.fate:
            case Fate.ACCEPTED:
                self._settle(DELIVERED, work.changes, verdict)
                self._proceed(work)
            case Fate.REFUSED:
                self._settle(REJECTED, work.all_changes(), verdict)
                self._queue.done(work)
            case Fate.FIELD_REFUSED:
                self._narrow(work, verdict)
            case Fate.TROUBLE:
                self._retry(work, verdict)
            case Fate.PAUSE:
                self._pause(CredentialError(self._user, verdict.detail, verdict.remedy))
                self._superseded(self._queue.again(work))
            case _:  # The user's trouble, not this prospect's.
                self._superseded(self._queue.again(work))

    async def _read(self, chunk: list[Work], token: str) -> None:
        """Reads what prospects hold, with one request for all, and drops what is so already."""
        fields = sorted({change.field for work in chunk for change in work.changes})
        ids = [work.outreach_id for work in chunk]
        verdict, body = await self._ask(self._client.read_prospects(ids, fields, token), token)
        values = read_values(body) if verdict.fate is Fate.ACCEPTED else {}
        spared = 0
        for work in reversed(chunk):
            due, unchanged = split_unchanged(work.changes, values.get(work.outreach_id, {}))
            self._settle(UNCHANGED, unchanged, verdict)
            if due:
                work.changes = due
                self._superseded(self._queue.again(work))
            else:
                spared += 1
                self._queue.done(work)
        self._reading.learn(verdict, spared)

    def _proceed(self, work: Work) -> None:
        """What a work's request carried is decided; what further requests carry is next."""
        if not work.rest:
            self._queue.done(work)
            return
        work.changes = work.rest.pop()
        work.attempts, work.troubled_since = 0, None
        self._superseded(self._queue.again(work))

    def _narrow(self, work: Work, verdict: Verdict) -> None:
        """Some value is refused: it is dropped and the rest sent, or it is looked for."""
        named = [change for change in work.changes if change.field in verdict.fields]
        if not named and len(work.changes) > 1 and not verdict.fields:
            middle = len(work.changes) // 2
            work.rest.append(work.changes[middle:])
            work.rest.append(work.changes[:middle])
        elif not named:
            # It names none of ours: whatever is wrong with the prospect, no patch will pass.
            self._settle(REJECTED, work.changes, verdict)
        else:
            self._settle(REJECTED, named, verdict)
            others = [change for change in work.changes if change not in named]
            if others:
                work.rest.append(others)
        self._proceed(work)

    def _retry(self, work: Work, verdict: Verdict) -> None:
        now = self._clock()
        work.attempts += 1
        work.troubled_since = now if work.troubled_since is None else work.troubled_since
        if now - work.troubled_since >= self._delivery.give_up_seconds:
            self._settle(REJECTED, work.all_changes(), verdict)
            self._queue.done(work)
            return
        self._trouble += 1
        self._last_trouble = verdict.detail
        self._superseded(self._queue.later(work, now + _jitter(work.attempts)))
        if self._trouble >= self._delivery.in_flight:
            self._hold(now + _jitter(self._trouble - self._delivery.in_flight), verdict.detail)

    def _settle(self, outcome: str, changes: Sequence[Change], verdict: Verdict) -> None:
        if changes:
            failed = outcome == REJECTED
            self._emit(
                Outcome(
                    outcome,
                    changes,
                    micros(self._clock()),
                    reason=verdict.reason if failed else None,
                    detail=verdict.detail if failed else None,
                    http_status=verdict.status,
                    user=self._user,
                )
            )

    def _superseded(self, changes: Sequence[Change]) -> None:
        if changes:
            self._emit(Outcome(SUPERSEDED, changes, micros(self._clock())))


def _jitter(attempts: int) -> float:
    most = min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(attempts, 16))
    return random.uniform(0.0, most)
