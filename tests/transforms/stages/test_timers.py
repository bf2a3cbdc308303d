"""What is held or queued always has a timer that ends its wait, and one at the end of the window.

Callbacks are called one by one, in any order that a runner may choose, on state that is plain
objects. A timer that fires is set no more; it may fire early, as on runners whose time jumps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from apache_beam.transforms.window import GlobalWindow

from tests.support.beam.states import Bag, Cell, PaceKey, Timer
from tests.support.data.changes import change, ids, patch
from transforms.budget.budget import Budget
from transforms.budget.grant import Grant
from transforms.budget.terms import BudgetTerms
from transforms.elements import Outcome, Patch
from transforms.errors import CredentialError
from transforms.outreach.auth.credentials import BearerAuth
from transforms.outreach.delivery import Delivery
from transforms.outreach.sender_pool import Access, Unsent
from transforms.stages.coalesce_stateful import HoldDoFn
from transforms.stages.patch_stateful import PaceDoFn

END = float(GlobalWindow().max_timestamp())
SEEDS = range(40)
STEPS = 60


class Held:
    """A prospect's key."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.now = 1_000.0
        self.dofn = HoldDoFn(5.0, 100.0, lambda: self.now)
        self.held, self.seen, self.known, self.heard = Bag(), Bag(), Bag(), Cell()
        self.timers = {name: Timer() for name in ("hold_ends", "forget", "window_ends")}
        self.given: list[str] = []
        self.came: list[str] = []

    def process(self) -> None:
        value = self.source.choice(["in", "out"])
        one = change(field=self.source.choice(["custom4", "custom5"]), value=value)
        self.given.append(one.change_id)
        hold_ends, window_ends = self.timers["hold_ends"], self.timers["window_ends"]
        self.dofn.process(("1", one), self.held, hold_ends, window_ends)

    def fire(self, name: str) -> None:
        self.timers[name].at = None
        state = (self.held, self.seen, self.known)
        more: tuple[Any, ...]
        if name == "hold_ends":
            more = (self.heard, self.timers["forget"], self.timers["window_ends"])
            self._keep(self.dofn.hold_ends(*state, *more))
        elif name == "window_ends":
            self._keep(self.dofn.window_ends(*state, self.timers["hold_ends"]))
        else:
            self.dofn.forget(self.seen, self.known, self.heard)

    def _keep(self, came: Iterator[Any]) -> None:
        for one in came:
            self.came += ids(getattr(one, "value", one).changes)

    def waits(self) -> Sequence[object]:
        return self.held.elements

    def wakes(self) -> list[Timer]:
        return [self.timers["hold_ends"]]


class AnyDesk:
    """In the place of a desk: whatever it may answer, by chance and at once."""

    requests = throttled = 0
    throttled_seconds = 0.0

    def __init__(self, source: random.Random, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock

    def deliver(
        self,
        patches: Mapping[Access, Sequence[Patch]],
        budgets: Mapping[str, Budget | Grant],
        until: float,
    ) -> Iterator[Outcome | Unsent]:
        """As `transforms.outreach.sender_pool.Desk`."""
        del budgets
        assert until > self._clock()
        ((access, given),) = patches.items()
        left = [one for one in given if self._source.random() < 0.5]
        for one in given:
            if one not in left:
                yield Outcome("delivered", one.changes, 0)
        if left:
            problem = CredentialError(access.name, "it is refused", "mend it")
            paused = self._source.choice([None, problem])
            yield Unsent(access.name, left, paused, self._clock() + self._source.choice([-1, 900]))


class Queued:
    """A user's key."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.now = 1_000.0
        access = Access("ops", BearerAuth("TOKEN"), BudgetTerms(6, 3600.0, 1))
        self.dofn = PaceDoFn("http://127.0.0.1:9", [access], Delivery(), lambda: self.now)
        self.dofn._pool = AnyDesk(source, lambda: self.now)
        self.pace = PaceKey(self.dofn, "ops")
        self.timers = self.pace.timers
        self.given: list[str] = []
        self.came: list[str] = []

    def process(self) -> None:
        one = patch(self.source.randrange(1, 6), custom4=self.source.choice(["in", "out"]))
        self.given += ids(one.changes)
        self.pace.process(one)

    def fire(self, name: str) -> None:
        for outcome in self.pace.fire(name):
            self.came += ids(outcome.changes)

    def waits(self) -> Sequence[object]:
        return self.pace.waits()

    def wakes(self) -> list[Timer]:
        return [self.timers["grant"], self.timers["send"]]


Key = Held | Queued


def both_timers(key: Key) -> None:
    """What waits is waited for, and the end of the window would not pass it by."""
    if not key.waits():
        return
    ends = key.timers["window_ends"].at
    assert any(timer.at is not None for timer in key.wakes())
    assert ends is not None
    assert ends == pytest.approx(END)


def is_set(key: Key) -> list[str]:
    return [name for name, timer in key.timers.items() if timer.at is not None]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [Held, Queued], ids=["hold", "pace"])
def test_what_waits_has_both_timers_in_whatever_order_they_fire(kind: type[Key], seed: int) -> None:
    source = random.Random(seed)
    key = kind(source)
    waited = 0
    for _ in range(STEPS):
        key.now += source.choice([0, 1, 30, 3_000])
        # The end of the window comes last, and is tested below.
        may_fire = [name for name in is_set(key) if name != "window_ends"]
        if may_fire and source.random() < 0.6:
            key.fire(source.choice(may_fire))
        else:
            key.process()
        both_timers(key)
        waited += bool(key.waits())
    assert waited > STEPS / 4


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [Held, Queued], ids=["hold", "pace"])
def test_at_the_end_the_timers_leave_nothing_behind_and_each_change_ended_once(
    kind: type[Key], seed: int
) -> None:
    source = random.Random(seed)
    key = kind(source)
    for _ in range(STEPS):
        key.now += source.choice([0, 1, 30])
        may_fire = is_set(key)
        if may_fire and source.random() < 0.5:
            key.fire(source.choice(may_fire))
        else:
            key.process()
    for _ in range(STEPS):
        if not key.waits():
            break
        # Once the window's end has fired, the others still bring out what is left.
        key.fire(source.choice(is_set(key)))
    assert not key.waits()
    assert sorted(key.came) == sorted(key.given)


def test_a_key_that_forgot_a_timer_would_be_found() -> None:
    key = Held(random.Random(0))
    key.process()
    both_timers(key)
    for name in ("hold_ends", "window_ends"):
        before = key.timers[name].at
        key.timers[name].at = None
        with pytest.raises(AssertionError):
            both_timers(key)
        key.timers[name].at = before
