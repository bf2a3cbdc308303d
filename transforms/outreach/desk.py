"""The desk: a worker's event loop, and the senders of all its users on it side by side.

The one place where asynchronous code meets Beam's synchronous callbacks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from transforms.budget import Budget, BudgetTerms
from transforms.elements import Outcome, Patch
from transforms.errors import CredentialError
from transforms.outreach.allotment import Allotment
from transforms.outreach.auth import Auth, Credential
from transforms.outreach.client import OutreachClient
from transforms.outreach.sender import Delivery, Sender, Standing

TICK_SECONDS = 0.2
"""How often outcomes are handed on, and standings told, while requests are under way."""

Watch = Callable[[Sequence[Standing]], bool]
"""Is told a few times a second what each user's sender is doing; True asks it to drain."""


@dataclass(frozen=True, slots=True)
class Access:
    """An Outreach user: who it is, how it is authenticated, and what it may spend."""

    name: str
    auth: Auth
    budget: BudgetTerms


@dataclass(frozen=True, slots=True)
class Left:
    """What a user's sender did not get to.

    Attributes:
      user: the user's name.
      patches: changes without an outcome.
      paused: why the user was paused, if it was; else time was up, or it was drained.
    """

    user: str
    patches: Sequence[Patch]
    paused: CredentialError | None


class Desk:
    """Opens an event loop and an HTTP session, to be closed with `close`.

    Args:
      base_url: of the API, without a trailing slash.
      delivery: how patches are sent.
      clock: seconds since the epoch.
    """

    def __init__(self, base_url: str, delivery: Delivery, clock: Callable[[], float]) -> None:
        self._base_url = base_url
        self._delivery = delivery
        self._clock = clock
        self._runner = asyncio.Runner()
        self._client = OutreachClient(base_url)
        self._credentials: dict[str, Credential] = {}
        self.requests = 0
        self.throttled = 0
        self.throttled_seconds = 0.0

    def close(self) -> None:
        """Closes the session and the loop."""
        self._runner.run(self._client.close())
        self._runner.close()

    def deliver(
        self,
        patches: Mapping[Access, Iterable[Patch]],
        budgets: Mapping[str, Budget | Allotment],
        watch: Watch | None = None,
        until: float = math.inf,
    ) -> Iterator[Outcome | Left]:
        """Delivers each user's patches; blocks until each has ended.

        Args:
          patches: by user.
          budgets: by the user's name; spent and corrected in place.
          watch: see `Watch`.
          until: seconds since the epoch from which on no request is started.

        Yields:
          Each outcome soon after it is known, and at last what each user left undone, if any.
        """
        outcomes: list[Outcome] = []
        senders = {
            access: Sender(
                access.name,
                self._client,
                self._credential(access),
                budgets[access.name],
                self._delivery,
                outcomes.append,
                self._clock,
            )
            for access in patches
        }

        async def tick(tasks: Iterable[asyncio.Task[list[Patch]]]) -> bool:
            done, pending = await asyncio.wait(
                tasks, timeout=TICK_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()
            return not pending

        async def start() -> list[asyncio.Task[list[Patch]]]:
            return [
                asyncio.create_task(sender.deliver(patches[access], until))
                for access, sender in senders.items()
            ]

        tasks = self._runner.run(start())
        ended = not tasks
        while not ended:
            ended = self._runner.run(tick(tasks))
            ready, outcomes[:] = list(outcomes), []
            yield from ready
            if watch is not None and watch([sender.standing() for sender in senders.values()]):
                for sender in senders.values():
                    sender.stop()
        for (access, sender), task in zip(senders.items(), tasks, strict=True):
            self._count(sender.standing())
            left = task.result()
            if left:
                yield Left(access.name, left, sender.paused)

    def _credential(self, access: Access) -> Credential:
        if access.name not in self._credentials:
            self._credentials[access.name] = access.auth.credential(access.name, self._base_url)
        return self._credentials[access.name]

    def _count(self, standing: Standing) -> None:
        self.requests += standing.requests
        self.throttled += standing.throttled
        self.throttled_seconds += standing.throttled_seconds
