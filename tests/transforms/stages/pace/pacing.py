"""A stream and a key that drive Pace against the sandbox, both by one clock.

TestStream moves its clock only between callbacks, so where a sender waits within a turn, the
turn is made to end instead. What it cannot show is that a runner commits one callback's state
before it calls the next; what each callback leaves to the next is shown by calling them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.beam.states import PaceKey
from tests.support.beam.stream import Came, stream_time
from tests.support.data.changes import patch
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms
from transforms.elements import Outcome
from transforms.errors import CredentialError
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access
from transforms.stages.patch_stateful import PaceDoFn

HOUR = 3600.0
TERMS = BudgetTerms(20, HOUR, 5)
ALLOWANCE = TERMS.allowance


@dataclass(frozen=True)
class Mendable:
    """A credential that is refused until a person mends it, at a time of the stream."""

    mended_at: float

    def credential(self, user: str, base_url: str) -> Mendable.Credential:
        del base_url
        return Mendable.Credential(user, self.mended_at)

    @dataclass
    class Credential:
        user: str
        mended_at: float

        async def token(self, now: float) -> str:
            return "good" if now >= self.mended_at else "bad"

        async def refused(self, token: str, now: float) -> None:
            del token, now
            raise CredentialError(self.user, "its token is refused", "mend it")


breakdowns: list[int] = []
"""Which of the times that a token is asked for bring the worker down; each once."""


@dataclass(frozen=True)
class LetIn:
    """A credential that is let in, unless the worker breaks down just then."""

    def credential(self, user: str, base_url: str) -> LetIn.Credential:
        del user, base_url
        return LetIn.Credential()

    @dataclass
    class Credential:
        async def token(self, now: float) -> str:
            del now
            if breakdowns:
                breakdowns[0] -= 1
                if breakdowns[0] < 0:
                    breakdowns.pop(0)
                    raise RuntimeError("the worker breaks down")
            return "good"

        async def refused(self, token: str, now: float) -> None:
            raise AssertionError((token, now))


def sandbox_of(**options: Any) -> AbstractContextManager[Sandbox]:
    """A sandbox by the stream's clock, with the same limit as `TERMS`."""
    usual = {"prospects": 100, "limit": TERMS.requests, "window": "sliding"}
    usual["tokens"] = {"good": "ops"}
    return running_sandbox(SandboxOptions(**(usual | options)), stream_time)


Run = Callable[..., list[Came]]


def outcomes(came: list[Came]) -> list[Outcome]:
    return [one.element for one in came]


def times(came: list[Came], name: str = "delivered") -> Counter[float]:
    """How many changes came to an outcome, by when."""
    return Counter(
        one.at for one in came if one.element.outcome == name for _ in one.element.changes
    )


class Stage(PaceKey):
    """A user's key: what one callback leaves to the next."""

    def __init__(self, sandbox: Sandbox, terms: BudgetTerms = TERMS) -> None:
        self.now = 0.0
        access = Access("ops", LetIn(), terms)
        self.dofn = PaceDoFn(sandbox.url, [access], Delivery(), lambda: self.now)
        self.dofn.setup()
        super().__init__(self.dofn, "ops")
        self.grant_timer, self.send_timer, self.end_timer = self.timers.values()

    def grant(self) -> list[Outcome]:
        return self.call_back("grant")

    def send(self) -> list[Outcome]:
        return self.call_back("send")

    def end_window(self) -> list[Outcome]:
        return self.call_back("window_ends")

    def budget(self) -> Budget:
        return Budget.load(self.spent.read(), TERMS)

    def probe(self) -> None:
        """Sends one patch, so that the budget has heard from the server."""
        self.process(patch(100))
        assert (self.grant(), len(self.send())) == ([], 1)
