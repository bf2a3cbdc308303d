"""The senders of all users of a worker, side by side on one event loop.

The one place where asynchronous code meets Beam's synchronous callbacks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.terms import BudgetTerms
from transforms.elements import Outcome, Patch
from transforms.errors import CredentialError
from transforms.outreach.auth.credentials import Auth, Credential
from transforms.outreach.backoff import CircuitBreaker
from transforms.outreach.client import OutreachClient, Timeouts
from transforms.outreach.delivery import Delivery, UserProgress
from transforms.outreach.read_before_write import ReadBeforeWrite
from transforms.outreach.requests.requester import Requester
from transforms.outreach.sender import Sender
from transforms.relations import Accounts

_Result = TypeVar("_Result")

READY_OUTCOMES = 50
"""So many are handed on at once, at most, however fast they come: whoever commits them must not
be far behind what was sent."""
TICK_SECONDS = 0.2
"""How often outcomes are handed on, and standings told, while requests are under way."""
GRACE_SECONDS = 7.0
"""How long answers are awaited once a drain was asked for: ten seconds after they ask it to end,
service managers and container runtimes kill a process, which has other things to end too."""

Watch = Callable[[Sequence[UserProgress]], bool]
"""Is told a few times a second what each user's sender is doing; True asks it to drain, and what
is not answered `GRACE_SECONDS` later is left."""


@dataclass(frozen=True, slots=True)
class Access:
    """An Outreach user: who it is, how it is authenticated, and what it may spend.

    Attributes:
      name: for receipts, metrics and logs.
      auth: where its credential is read from.
      budget: by default what Outreach documents, with a little left for the user's other tools.
    """

    name: str
    auth: Auth
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class Unsent:
    """The patches that a user's sender did not send.

    Attributes:
      user: the user's name.
      patches: changes without an outcome.
      paused: why the user was paused, if it was; else time was up, or it was drained.
      held_until: seconds since the epoch before which the server wants nothing of this user's;
        mostly in the past.
    """

    user: str
    patches: Sequence[Patch]
    paused: CredentialError | None
    held_until: float


@dataclass(frozen=True, slots=True)
class UserContext:
    """What a worker keeps of a user from one delivery to the next."""

    credential: Credential
    breaker: CircuitBreaker
    reading: ReadBeforeWrite


class SenderPool:
    """Opens an event loop and an HTTP session, to be closed with `close`.

    Args:
      base_url: of the API, without a trailing slash.
      delivery: how patches are sent.
      clock: seconds since the epoch.
      timeouts: of each request.

    Attributes:
      requests: sent by deliveries that have ended.
      throttled: of them, those that were answered 429.
      throttled_seconds: that these deliveries spent with work to send and nothing allowed.
      asked: the same two counts, of the last `ask` alone.
      accounts: that the next deliveries' patches name by their domains.
    """

    def __init__(
        self,
        base_url: str,
        delivery: Delivery,
        clock: Callable[[], float],
        timeouts: Timeouts | None = None,
    ) -> None:
        self._base_url = base_url
        self._delivery = delivery
        self._clock = clock
        self._runner = asyncio.Runner()
        self._client = OutreachClient(base_url, timeouts=timeouts, kind=delivery.object)
        self._known: dict[str, UserContext] = {}
        self.requests = 0
        self.throttled = 0
        self.throttled_seconds = 0.0
        self.asked: Mapping[str, int] = {}
        self.accounts: Accounts = {}

    def close(self) -> None:
        """Closes the session and the loop."""
        self._runner.run(self._client.close())
        self._runner.close()

    def held_until(self, user: str) -> float:
        """Until when a user's requests are held back, as its server asked or for its trouble."""
        known = self._known.get(user)
        return -math.inf if known is None else known.breaker.held_until

    def trouble(self, user: str) -> str | None:
        """Returns the trouble of a user whose last requests all met trouble; None otherwise."""
        known = self._known.get(user)
        return known.breaker.held_for if known and known.breaker.exhausted else None

    def last_trouble(self, user: str) -> str:
        """Returns the last trouble that a user's requests met; empty if there was none."""
        known = self._known.get(user)
        return known.breaker.last_trouble if known else ""

    def ask(
        self,
        access: Access,
        budget: Budget | Grant,
        work: Callable[[Requester], Awaitable[_Result]],
    ) -> _Result:
        """Has requests made that are no patches, one after the other; blocks until they are.

        Args:
          access: in whose name.
          budget: of that user; spent and corrected in place.
          work: makes them; what it raises is raised.
        """
        known = self._context(access)
        requester = Requester(
            access.name, self._client, known.credential, budget, known.breaker, self._clock
        )

        async def working() -> _Result:
            return await work(requester)

        try:
            return self._runner.run(working())
        finally:
            sent = requester.exchange
            self.asked = {"requests": sent.requests, "throttled": sent.throttled}
            self.requests += sent.requests
            self.throttled += sent.throttled

    def deliver(
        self,
        patches: Mapping[Access, Iterable[Patch]],
        budgets: Mapping[str, Budget | Grant],
        watch: Watch | None = None,
        until: float = math.inf,
    ) -> Iterator[Outcome | Unsent]:
        """Delivers each user's patches; blocks until each has ended.

        Whoever does not read to the end gives up the rest: requests in flight are cancelled.

        Args:
          patches: by user.
          budgets: by the user's name; spent and corrected in place.
          watch: see `Watch`.
          until: seconds since the epoch from which on no request is started.

        Yields:
          Each outcome soon after it is known, and at last what each user left undone, if any.
        """
        outcomes: list[Outcome] = []
        full = asyncio.Event()

        def emit(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) >= READY_OUTCOMES:
                full.set()

        senders = {access: self._sender(access, budgets[access.name], emit) for access in patches}

        async def start() -> list[asyncio.Task[list[Patch]]]:
            return [
                asyncio.create_task(sender.deliver(patches[access], until))
                for access, sender in senders.items()
            ]

        tasks = self._runner.run(start())
        drained_at = math.inf
        try:
            ended = not tasks
            while not ended:
                ended = self._runner.run(_tick(tasks, full))
                ready, outcomes[:] = list(outcomes), []
                full.clear()
                yield from ready
                if watch is not None and watch([sender.standing() for sender in senders.values()]):
                    drained_at = min(drained_at, self._clock())
                    late = self._clock() - drained_at >= GRACE_SECONDS
                    for sender in senders.values():
                        sender.abandon() if late else sender.stop()
        finally:
            self._runner.run(_end(tasks))
            for sender in senders.values():
                self._count(sender.standing())
        for (access, sender), task in zip(senders.items(), tasks, strict=True):
            left = task.result()
            if left:
                held_until = self._known[access.name].breaker.held_until
                yield Unsent(access.name, left, sender.paused, held_until)

    def _sender(
        self, access: Access, budget: Budget | Grant, emit: Callable[[Outcome], None]
    ) -> Sender:
        known = self._context(access)
        return Sender(
            access.name,
            self._client,
            known.credential,
            budget,
            self._delivery,
            emit,
            self._clock,
            breaker=known.breaker,
            reading=known.reading,
            accounts=self.accounts,
        )

    def _context(self, access: Access) -> UserContext:
        name = access.name
        if name not in self._known:
            self._known[name] = UserContext(
                access.auth.credential(name, self._base_url),
                CircuitBreaker(self._delivery.in_flight),
                ReadBeforeWrite(),
            )
        return self._known[name]

    def _count(self, standing: UserProgress) -> None:
        self.requests += standing.requests
        self.throttled += standing.throttled
        self.throttled_seconds += standing.throttled_seconds


async def _tick(tasks: Sequence[asyncio.Task[list[Patch]]], full: asyncio.Event) -> bool:
    """Gives the tasks a moment; returns whether all have ended, raises what one raised."""
    filling = asyncio.create_task(full.wait())
    await asyncio.wait(
        [filling, *(task for task in tasks if not task.done())],
        timeout=TICK_SECONDS,
        return_when=asyncio.FIRST_COMPLETED,
    )
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    for task in tasks:
        if task.done():
            task.result()
    return all(task.done() for task in tasks)


async def _end(tasks: Sequence[asyncio.Task[list[Patch]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
