"""The sender: one user's patches out, as fast as the budget allows and no faster.

Several requests in flight, at most one a prospect; every answer is learnt from; each change
ends in an outcome or stays in the queue. asyncio and aiohttp, no Beam.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.elements import Outcome, Patch
from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.access_token import AccessToken
from transforms.outreach.auth.credentials import Credential
from transforms.outreach.backoff import CircuitBreaker
from transforms.outreach.client import OutreachClient, Reply
from transforms.outreach.delivery import Delivery, UserProgress
from transforms.outreach.outcomes import Outcomes
from transforms.outreach.proof import classify_read, classify_write, is_elsewhere
from transforms.outreach.read_before_write import ReadBeforeWrite, read_values
from transforms.outreach.requests.exchange import LATER, Exchange, Judge
from transforms.outreach.responses import Classification, Fate
from transforms.outreach.send_queue import SendQueue, Work
from transforms.relations import Accounts, asked_fields, attributes_of, relationships_of

_log = logging.getLogger(__name__)


class Sender:
    """Sends one Outreach user's patches, in one call of `deliver`.

    Args:
      user: the user's name, for receipts and logs.
      client: shared by the senders of a worker.
      credential: of this user.
      budget: of this user; spent and corrected here.
      delivery: see `Delivery`.
      emit: is called with each outcome as it is known.
      clock: seconds since the epoch.
      breaker: what earlier senders of this user learnt of the server; changed here.
      reading: the same of reading.
      accounts: that patches name by their domains.

    Attributes:
      paused: what a person has to mend before anything of this user's can be sent.
    """

    def __init__(
        self,
        user: str,
        client: OutreachClient,
        credential: Credential,
        budget: Budget | Grant,
        delivery: Delivery,
        emit: Callable[[Outcome], None],
        clock: Callable[[], float],
        *,
        breaker: CircuitBreaker | None = None,
        reading: ReadBeforeWrite | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self._user = user
        self._client = client
        self._access_token = AccessToken(user, credential)
        self._budget = budget
        self._in_flight = delivery.in_flight
        self._clock = clock
        self._queue = SendQueue(delivery.if_empty)
        self._outcomes = Outcomes(user, self._queue, delivery.give_up_seconds, emit)
        self._breaker = breaker or CircuitBreaker(delivery.in_flight)
        self._reading = reading or ReadBeforeWrite()
        self._accounts = accounts or {}
        self._turn, self._news = asyncio.Lock(), asyncio.Event()
        self._until = math.inf
        self._workers: list[asyncio.Task[None]] = []
        self._abandoned = False
        self._waits_for = ""
        self._resumes_at: float | None = None
        self._exchange = Exchange(budget, self._breaker, clock)
        self._throttled_seconds = 0.0
        self.paused: CredentialError | None = None

    def standing(self) -> UserProgress:
        """What this sender is doing now."""
        since = self._breaker.troubled_since
        return UserProgress(
            self._user,
            len(self._queue),
            self._queue.delayed,
            self._queue.in_flight,
            self._queue.ended,
            self._exchange.requests,
            self._exchange.throttled,
            self._throttled_seconds,
            self._budget.available(self._clock()),
            self._budget.allowance,
            self._resumes_at,
            self._waits_for,
            self.paused,
            since,
            self._outcomes.gives_up_at(since),
        )

    def stop(self) -> None:
        """Starts no further request; `deliver` ends when those in flight are answered."""
        self._until = -math.inf
        self._news.set()

    def abandon(self) -> None:
        """Stops and awaits no answer: what is in flight is left, and may have been carried out."""
        self.stop()
        self._abandoned = True
        for worker in self._workers:
            worker.cancel()

    async def deliver(self, patches: Iterable[Patch], until: float = math.inf) -> list[Patch]:
        """Sends patches until none is left, time is up, it is stopped, or the user is paused.

        It is also over when nothing could be sent before the time is up.

        Args:
          patches: at most one a prospect is best; others are merged.
          until: seconds since the epoch from which on no request is started.

        Returns:
          What has no outcome yet, with the trouble it met and when to try again. Where `paused`
          is set, it says what must be mended first.
        """
        for patch in patches:
            self._outcomes.superseded(self._queue.add(patch), self._clock())
        self._until = min(self._until, until)
        self._workers = [
            asyncio.create_task(self._work())
            for _ in range(min(self._in_flight, max(1, len(self._queue))))
        ]
        try:
            await asyncio.gather(*self._workers)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._abandoned or (task is not None and task.cancelling()):
                raise
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
        self._outcomes.superseded(self._queue.recall(), self._clock())
        return self._queue.clear(self._user, self._breaker.held_after(self._clock()))

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
                obstacle = self._obstacle()
                if obstacle is None:
                    # That can take minutes, in which all may have changed.
                    token = await self._heeding(self._access_token.show(self._clock()))
                    if token is None or self._is_over() or self._obstacle() is not None:
                        continue
                    granted, wait_seconds = self._budget.take(1, self._clock())
                    if granted:
                        return self._choose(), token
                    obstacle = (self._clock() + wait_seconds, "budget")
                if obstacle[0] is not None and obstacle[0] >= self._until:
                    if not self._queue.in_flight:
                        return None  # Nothing can be sent before time is up.
                    obstacle = None, ""  # Nor is anything but answers waited for.
                await self._wait(*obstacle)
            return None

    def _is_over(self) -> bool:
        idle = not len(self._queue) and not self._queue.in_flight
        return idle or self.paused is not None or self._clock() >= self._until

    def _obstacle(self) -> tuple[float | None, str] | None:
        """Returns until when nothing can be sent, and why; None if something can.

        The time is None where only an answer helps.
        """
        now = self._clock()
        due = self._queue.wake(now)
        if not self._queue.ready:
            return due, self._breaker.last_trouble if due is not None else ""
        if self._breaker.held_until > now:
            return self._breaker.held_until, self._breaker.held_for
        return (None, "") if self._queue.in_flight and self._goes_alone(now) else None

    def _goes_alone(self, now: float) -> bool:
        # Only an answer shows what others spent, or that a fresh token is good; trouble needs calm.
        return (
            self._budget.needs_probe(now) or self._access_token.unproven or self._breaker.exhausted
        )

    def _choose(self) -> Work | list[Work]:
        most = self._client.most_ids
        if self._queue.must_read:
            return self._queue.take_conditional(most)
        unread = self._queue.unread(most)
        if unread and self._reading.is_worth_it(unread):
            return self._queue.take_unread(most)
        if unread:
            self._queue.leave_unread(most)
        return self._queue.take()

    async def _wait(self, until: float | None, why: str) -> None:
        """Until a time, or sooner if there is news."""
        began = self._clock()
        self._waits_for, self._resumes_at = why, until
        self._news.clear()
        ends = min(math.inf if until is None else until, self._until)
        seconds = None if ends == math.inf else max(0.0, ends - began)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._waits_for, self._resumes_at = "", None
        if why:
            self._throttled_seconds += self._clock() - began

    async def _send(self, work: Work, token: str) -> None:
        attributes, kind = attributes_of(work.changes), self._client.kind.name
        relationships = relationships_of(work.changes, self._accounts)
        request = self._client.patch_prospect(work.outreach_id, attributes, token, relationships)

        def judge(reply: Reply, now: float) -> Classification:
            return classify_write(reply, work.outreach_id, work.changes, now, kind, self._accounts)

        verdict, _ = await self._ask(request, token, judge)
        if verdict.fate is Fate.PAUSE:
            self._pause(verdict.problem_of(self._user))
        self._outcomes.written(work, verdict, self._clock())

    async def _read(self, chunk: list[Work], token: str) -> None:
        """Reads what prospects hold, with one request for all, and drops what is so already."""
        fields = asked_fields(change for work in chunk for change in work.changes)
        request = self._client.read_prospects([work.outreach_id for work in chunk], fields, token)
        verdict, body = await self._ask(request, token, classify_read)
        conditional = any(map(self._queue.is_conditional, chunk))
        if is_elsewhere(verdict) or (conditional and verdict.fate is Fate.PAUSE):
            self._pause(verdict.problem_of(self._user))
        held = read_values(body, self._accounts) if verdict.fate is Fate.ACCEPTED else {}
        spared = self._outcomes.read(chunk, verdict, held, self._clock())
        self._reading.learn(verdict, spared)

    async def _ask(
        self, request: Awaitable[Reply], token: str, judge: Judge
    ) -> tuple[Classification, bytes]:
        verdict, reply = await self._exchange.send(request, token, judge)
        if verdict.fate is Fate.UNAUTHENTICATED:
            await self._heeding(self._access_token.refused(token, verdict.detail, self._clock()))
        elif verdict.fate not in LATER:
            self._access_token.accepted(token)
        return verdict, reply.body

    async def _heeding(self, asked: Awaitable[str | None]) -> str | None:
        """Returns the token; None where there is none, and then nothing is sent."""
        try:
            return await asked
        except CredentialError as problem:
            self._pause(problem)
        except Trouble as trouble:
            self._breaker.refrain(str(trouble), self._clock())
        return None

    def _pause(self, problem: CredentialError) -> None:
        if self.paused is None:
            self.paused = problem
            _log.error("user paused, its work is kept: %s", problem)
        self._news.set()
