"""Hold: the unbounded half of coalesce, a prospect's changes in the state of its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import FloatCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagRuntimeState,
    BagStateSpec,
    ReadModifyWriteRuntimeState,
    ReadModifyWriteStateSpec,
    RuntimeTimer,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

from transforms.coalesce import Tally
from transforms.coders import ChangeCoder, KnownCoder
from transforms.elements import Change
from transforms.fold import Held, Known, gather, settle, weigh

_ENOUGH = 0.9
"""Of the time that a prospect is remembered: from there on a timer may end it."""


class Due(NamedTuple):
    """What a prospect's hold came to."""

    changes: list[Change]
    superseded: list[Change]
    unchanged: list[Change]


def release(held: Sequence[Change], known: dict[str, Known]) -> Due:
    """Folds what was held of one prospect, and weighs it with what is known.

    Where a change is to be sent whatever is known, so is a newer one that takes its place.

    Args:
      held: changes of one prospect.
      known: what its fields were last given; brought up to date in place.
    """
    best: dict[int, Held] = {}
    lost = gather(best, held)
    retried = {change.field for change in held if change.retry}
    due: list[Change] = []
    unchanged: list[Change] = []
    for slots in best.values():
        winners, behind = settle(slots)
        if retried:
            winners = [each._replace(retry=each.field in retried) for each in winners]
        weighed = weigh(winners, known)
        lost += behind + weighed.superseded
        due += weighed.due
        unchanged += weighed.unchanged
    return Due(due, lost, unchanged)


def by_prospect(changes: Sequence[Change]) -> Iterator[tuple[str, Change]]:
    """The key of each change: its prospect, as text, which every coder keeps stable."""
    for change in changes:
        yield str(change.outreach_id), change


class HoldDoFn(beam.DoFn):
    """Gathers a prospect's changes for a while, then puts out what is due.

    State of a prospect: what is held, what its fields were last given, and when that was. A
    processing-time timer ends the hold; another forgets a prospect of whom nothing was heard
    for long. The end-of-window callback is the last to see the state when a job is drained,
    and puts out whatever is held then.

    Args:
      hold_seconds: from the first change that is held.
      remember_seconds: after the last change.
      clock: seconds since the epoch; a runner's own may be virtual (Prism's is).
    """

    HELD = BagStateSpec("held", ChangeCoder())
    KNOWN = BagStateSpec("known", KnownCoder())
    HEARD = ReadModifyWriteStateSpec("heard", FloatCoder())
    HOLD_ENDS = TimerSpec("hold-ends", TimeDomain.REAL_TIME)
    FORGET = TimerSpec("forget", TimeDomain.REAL_TIME)
    WINDOW_ENDS = TimerSpec("window-ends", TimeDomain.WATERMARK)

    def __init__(
        self, hold_seconds: float, remember_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._hold_seconds = hold_seconds
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._tally = Tally()

    def process(  # noqa: D102
        self,
        keyed: tuple[str, Change],
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        hold_ends: RuntimeTimer = beam.DoFn.TimerParam(HOLD_ENDS),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> None:
        _, change = keyed
        self._tally.in_changes.inc()
        if not any(True for _ in held.read()):
            hold_ends.set(Timestamp.of(self._clock() + self._hold_seconds))
            window_ends.set(GlobalWindow().max_timestamp())
        held.add(change)

    @on_timer(HOLD_ENDS)
    def hold_ends(  # noqa: D102
        self,
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
        heard: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(HEARD),
        forget: RuntimeTimer = beam.DoFn.TimerParam(FORGET),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> Iterator[Any]:
        now = self._clock()
        yield from self._release(held, known, now)
        heard.write(now)
        forget.set(Timestamp.of(now + self._remember_seconds))
        window_ends.clear()

    @on_timer(WINDOW_ENDS)
    def window_ends(  # noqa: D102
        self,
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
    ) -> Iterator[Any]:
        yield from self._release(held, known, self._clock())

    @on_timer(FORGET)
    def forget(  # noqa: D102
        self,
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
        heard: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(HEARD),
    ) -> None:
        # A timer is a hint, for some runners' processing time jumps ahead. But no two clocks
        # agree: what is a little early by ours must count, as the timer does not come twice.
        last = heard.read()
        if last is not None and self._clock() - last >= _ENOUGH * self._remember_seconds:
            known.clear()
            heard.clear()

    def _release(self, held: BagRuntimeState, known: BagRuntimeState, now: float) -> Iterator[Any]:
        changes = list(held.read())
        held.clear()
        fields = dict(known.read())
        due = release(changes, fields)
        known.clear()
        for field in sorted(fields.items()):
            known.add(field)
        yield from self._tally.patch(due.changes)
        yield from self._tally.superseded(due.superseded, now)
        yield from self._tally.unchanged(due.unchanged, now)
