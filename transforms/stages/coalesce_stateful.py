"""Hold: the unbounded half of coalesce, a prospect's changes in the state of its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import FloatCoder, TupleCoder, VarIntCoder
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

from transforms.coders import ChangeCoder, KnownCoder
from transforms.elements import Change, is_known
from transforms.fold import Held, Known, gather, remember, settle, weigh
from transforms.stages.counters import CoalesceCounters

REPEATS_SECONDS = 3600.0
"""How long a change is known again by its id: whoever delivers a message twice does it sooner."""
_ENOUGH = 0.9
"""Of the time that a prospect is remembered: from there on a timer may end it."""


class HoldResult(NamedTuple):
    """What a prospect's hold came to."""

    changes: list[Change]
    superseded: list[Change]
    unchanged: list[Change]


def release(held: Sequence[Change], known: dict[str, Known]) -> HoldResult:
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
        remember(slots, known)
        winners, behind = settle(slots)
        if retried:
            winners = [each._replace(retry=each.field in retried) for each in winners]
        weighed = weigh(winners, known)
        lost += behind + weighed.superseded
        due += weighed.due
        unchanged += weighed.unchanged
    return HoldResult(due, lost, unchanged)


def without_repeats(
    held: Sequence[Change], seen: dict[int, float], now: float
) -> tuple[list[Change], int]:
    """Drops the changes that came before: their message was delivered again.

    Each had its outcome the first time, or is among these, so they get none of their own.

    Args:
      held: changes of one prospect.
      seen: marks of changes and when they were held; brought up to date in place.
      now: seconds since the epoch.

    Returns:
      The others, and how many were dropped.
    """
    for mark in [mark for mark, at in seen.items() if now - at > REPEATS_SECONDS]:
        del seen[mark]
    fresh: list[Change] = []
    for change in held:
        mark = _mark(change)
        if is_known(change):
            fresh.append(change)  # No outcome follows, however often it comes.
        elif mark not in seen:
            seen[mark] = now
            fresh.append(change)
    return fresh, len(held) - len(fresh)


def _mark(change: Change) -> int:
    # Two changes of one message may share its id, but never all of this.
    named = (change.change_id, change.sequence, change.namespace, change.value)
    return int.from_bytes(blake2b(repr(named).encode(), digest_size=7).digest())


def by_prospect(changes: Sequence[Change]) -> Iterator[tuple[str, Change]]:
    """The key of each change: its prospect, as text, which every coder keeps stable."""
    for change in changes:
        yield str(change.outreach_id), change


class HoldDoFn(beam.DoFn):
    """Gathers a prospect's changes for a while, then puts out what is due.

    State of a prospect: what is held, what was held of late, what its fields were last given,
    and when that was. A processing-time timer ends the hold. An event-time timer forgets a
    prospect of whom nothing was heard for long: one in processing time would keep a job that is
    drained waiting for it. The end-of-window callback is the last to see the state when a job is
    drained, and puts out whatever is held then.

    Args:
      hold_seconds: from the first change that is held.
      remember_seconds: after the last change.
      clock: seconds since the epoch; a runner's own may be virtual (Prism's is).
    """

    HELD = BagStateSpec("held", ChangeCoder())
    SEEN = BagStateSpec("seen", TupleCoder((VarIntCoder(), FloatCoder())))
    KNOWN = BagStateSpec("known", KnownCoder())
    HEARD = ReadModifyWriteStateSpec("heard", FloatCoder())
    HOLD_ENDS = TimerSpec("hold-ends", TimeDomain.REAL_TIME)
    FORGET = TimerSpec("forget", TimeDomain.WATERMARK)
    WINDOW_ENDS = TimerSpec("window-ends", TimeDomain.WATERMARK)

    def __init__(
        self, hold_seconds: float, remember_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._hold_seconds = hold_seconds
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._tally = CoalesceCounters()

    def process(  # noqa: D102
        self,
        keyed: tuple[str, Change],
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        hold_ends: RuntimeTimer = beam.DoFn.TimerParam(HOLD_ENDS),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> None:
        _, change = keyed
        if not is_known(change):
            self._tally.in_changes.inc()
        if not any(True for _ in held.read()):
            hold_ends.set(Timestamp.of(self._clock() + self._hold_seconds))
            window_ends.set(GlobalWindow().max_timestamp())
        held.add(change)

    @on_timer(HOLD_ENDS)
    def hold_ends(  # noqa: D102
        self,
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        seen: BagRuntimeState = beam.DoFn.StateParam(SEEN),
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
        heard: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(HEARD),
        forget: RuntimeTimer = beam.DoFn.TimerParam(FORGET),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> Iterator[Any]:
        changes = list(held.read())
        if not changes:
            return  # The window has ended meanwhile.
        now = self._clock()
        held.clear()
        yield from self._release(changes, seen, known, now)
        heard.write(now)
        forget.set(Timestamp.of(now + self._remember_seconds))
        window_ends.clear()

    @on_timer(WINDOW_ENDS)
    def window_ends(  # noqa: D102
        self,
        held: BagRuntimeState = beam.DoFn.StateParam(HELD),
        seen: BagRuntimeState = beam.DoFn.StateParam(SEEN),
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
        hold_ends: RuntimeTimer = beam.DoFn.TimerParam(HOLD_ENDS),
    ) -> Iterator[Any]:
        # Nothing is left to wait for; Prism fires a timer that is cleared.
        now = self._clock()
        hold_ends.set(Timestamp.of(now))
        changes = list(held.read())
        held.clear()
        yield from self._release(changes, seen, known, now)

    @on_timer(FORGET)
    def forget(  # noqa: D102
        self,
        seen: BagRuntimeState = beam.DoFn.StateParam(SEEN),
        known: BagRuntimeState = beam.DoFn.StateParam(KNOWN),
        heard: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(HEARD),
    ) -> None:
        # A timer is a hint, for some runners' processing time jumps ahead. But no two clocks
        # agree: what is a little early by ours must count, as the timer does not come twice.
        last = heard.read()
        if last is not None and self._clock() - last >= _ENOUGH * self._remember_seconds:
            seen.clear()
            known.clear()
            heard.clear()

    def _release(
        self, held: Sequence[Change], seen: BagRuntimeState, known: BagRuntimeState, now: float
    ) -> Iterator[Any]:
        marks = dict(seen.read())
        changes, repeated = without_repeats(held, marks, now)
        self._tally.out_repeated.inc(repeated)
        seen.clear()
        for mark in marks.items():
            seen.add(mark)
        fields = dict(known.read())
        due = release(changes, fields)
        known.clear()
        for field in sorted(fields.items()):
            known.add(field)
        yield from self._tally.patch(due.changes)
        yield from self._tally.superseded(due.superseded, now)
        yield from self._tally.unchanged(due.unchanged, now)
