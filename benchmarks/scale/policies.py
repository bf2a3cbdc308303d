"""What is compared: how changes wait, and how requests are let go.

Ours is the job's own code: `coalesce_stateful.release`, `SendQueue`, `Budget` and `EvenPace`. The
others differ from it in one thing each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from transforms.budget.budget import Budget
from transforms.budget.even_pace import EvenPace
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.elements import Change, Patch
from transforms.outreach.read_before_write import READ_LEAST
from transforms.outreach.send_queue import SendQueue, Work
from transforms.stages.patch_stateful import TURN_REQUESTS


class Limiter(Protocol):
    """What lets requests go: as of `Budget`."""

    @property
    def answers(self) -> int:
        """As of `Budget`."""

    def note(self, came: int, waiting: int, now: float) -> None:
        """As of `EvenPace`."""

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `Budget`."""

    def learn(self, limits: RateLimits, now: float, *, answers_when_sent: int) -> None:
        """As of `Budget`."""

    def needs_probe(self, now: float) -> bool:
        """As of `Budget`."""


class AtOnce(Budget):
    """Lets requests go as early as their window allows."""

    def note(self, came: int, waiting: int, now: float) -> None:
        """Makes no difference."""


class Paced:
    """As `AtOnce`, and evenly as soon as more keeps coming than a window takes."""

    def __init__(self, terms: BudgetTerms) -> None:
        self._budget = Budget(terms)
        self._pace = EvenPace(self._budget)

    @property
    def answers(self) -> int:
        """As of `Budget`."""
        return self._budget.answers

    def note(self, came: int, waiting: int, now: float) -> None:
        """As of `EvenPace`."""
        self._pace.note(came, waiting, now)

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `EvenPace`."""
        return self._pace.take(wanted, now)

    def learn(self, limits: RateLimits, now: float, *, answers_when_sent: int) -> None:
        """As of `Budget`."""
        self._budget.learn(limits, now, answers_when_sent=answers_when_sent)

    def needs_probe(self, now: float) -> bool:
        """As of `Budget`."""
        return self._budget.needs_probe(now)


class InTurns(Paced):
    """As `Paced`, and in turns that gather where they are even, as on a streaming runner."""

    def __init__(self, terms: BudgetTerms) -> None:
        super().__init__(terms)
        self._waiting = 0
        self._granted = 0

    def note(self, came: int, waiting: int, now: float) -> None:
        """As of `EvenPace`."""
        super().note(came, waiting, now)
        self._waiting = waiting

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `EvenPace`; never more than one."""
        del wanted
        if not self._granted:
            turn = 1 if self.needs_probe(now) else max(1, min(TURN_REQUESTS, self._waiting))
            least = self._pace.gathered(min(turn, READ_LEAST))
            self._granted, wait_seconds = self._pace.take(turn, now, least)
            if not self._granted:
                return 0, wait_seconds
        self._granted -= 1
        return 1, 0.0


class Smoothed:
    """Lets requests go evenly: what a window allows, spread over the window."""

    def __init__(self, terms: BudgetTerms) -> None:
        self.answers = 0
        self._interval = terms.per_seconds / terms.allowance * (1 + 1e-9)  # sums are rounded
        self._next_at = 0.0

    def note(self, came: int, waiting: int, now: float) -> None:
        """Makes no difference."""

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """As of `Budget`; never more than one."""
        if now < self._next_at:
            return 0, self._next_at - now
        self._next_at = now + self._interval
        return min(wanted, 1), 0.0

    def learn(self, limits: RateLimits, now: float, *, answers_when_sent: int) -> None:
        """Learns nothing: it keeps the limit by itself."""

    def needs_probe(self, now: float) -> bool:
        """Requests never go fast enough to need one."""
        del now
        return False


class Waiting(Protocol):
    """What waits for one user."""

    ready: int

    def add(self, patch: Patch) -> list[Change]:
        """As of `SendQueue`."""

    def take(self) -> Work:
        """As of `SendQueue`."""

    def done(self, work: Work) -> None:
        """As of `SendQueue`."""


class InOrder:
    """Every change by itself, in the order of arrival; nothing is merged."""

    def __init__(self) -> None:
        self._waiting: deque[Change] = deque()

    @property
    def ready(self) -> int:
        """How many may be taken now."""
        return len(self._waiting)

    def add(self, patch: Patch) -> list[Change]:
        """As of `SendQueue`; makes nothing superfluous."""
        self._waiting.extend(patch.changes)
        return []

    def take(self) -> Work:
        """As of `SendQueue`."""
        change = self._waiting.popleft()
        return Work(change.outreach_id, [change])

    def done(self, work: Work) -> None:
        """Nothing waits for an answer."""


@dataclass(frozen=True)
class Policy:
    """One way to deliver.

    Attributes:
      name: for the table.
      waiting: makes what holds the patches that wait.
      limiter: makes what lets requests go.
      hold_seconds: how long a prospect's changes are gathered, and then weighed with what is
        known of it; None to send each as it comes, whatever is known.
      lanes: into which the user's queue and budget are split.
    """

    name: str
    waiting: Callable[[], Waiting]
    limiter: Callable[[BudgetTerms], Limiter]
    hold_seconds: float | None = 5.0
    lanes: int = 1


OURS = Policy("ours", SendQueue, Paced)
AT_ONCE = Policy("ours, at once", SendQueue, AtOnce)
TURNS = Policy("ours, streaming", SendQueue, InTurns)
LANES = Policy("ours, 16 lanes", SendQueue, InTurns, lanes=16)
EACH = Policy("a PATCH a change", InOrder, AtOnce, hold_seconds=None)
SMOOTHED = Policy("ours, smoothed", SendQueue, Smoothed)
