"""Pace: the unbounded half of patch, a user's queue and budget in the state of its key.

Where there are several lanes, a user has as many keys, each with its share of the budget.

Two timers take turns. `grant` debits the budget and sets patches aside; that is committed
before `send` sends them. So a bundle that is run again repeats at most one turn's requests,
and a budget once spent is never forgotten. No callback waits for the budget, or for a server
that wants to be left alone. A stream that never fits the budget is spent evenly (`EvenPace`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder, FloatCoder, StrUtf8Coder, VarIntCoder
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

from transforms.budget.budget import Budget
from transforms.budget.even_pace import EvenPace
from transforms.budget.grant import Grant
from transforms.budget.shards import key_of
from transforms.coders import PatchCoder
from transforms.elements import Outcome, Patch
from transforms.outreach.backoff import PAUSED_SECONDS
from transforms.outreach.delivery import Delivery
from transforms.outreach.read_before_write import READ_LEAST
from transforms.outreach.sender_pool import Access, SenderPool
from transforms.stages.counters import PatchCounters, deferred, superseded
from transforms.stages.queue_state import QueueCells, QueueState

TURN_REQUESTS = 200
"""Requests granted at a time: what Outreach answers in a few seconds."""
SPARE_REQUESTS = 20
"""Of them, so many more than there are patches: a refused one takes several to narrow down."""
TURN_SECONDS = 10.0
"""How long a turn starts requests, so that no callback holds a worker for long."""
LOOK_LEAST_SECONDS = 1.0
"""A window in whose sixtieth part less passes is too short to be spent evenly."""
PROCESS = secrets.token_hex(8)
"""Tells this process from the one that had a user's queue before it was lost."""
ANOTHER_LANE = "its user, or the lane that it waited in, is no more"
"""Why a job defers what an earlier one with its state left under a key that it has not."""


class PaceDoFn(beam.DoFn):
    """Queues a user's patches and sends them turn by turn, as the budget allows.

    Args:
      base_url: of the API.
      accesses: the users.
      delivery: how patches are sent.
      clock: seconds since the epoch; a runner's own may be virtual (Prism's is).
    """

    QUEUED = BagStateSpec("queued", PatchCoder())
    HEAD = BagStateSpec("head", PatchCoder())
    TAIL = BagStateSpec("tail", PatchCoder())
    TAIL_LENGTH = ReadModifyWriteStateSpec("tail-length", VarIntCoder())
    GRANTED = BagStateSpec("granted", PatchCoder())
    ALLOWED = ReadModifyWriteStateSpec("allowed", VarIntCoder())
    BUDGET = ReadModifyWriteStateSpec("budget", BytesCoder())
    PACE = ReadModifyWriteStateSpec("pace", BytesCoder())
    AWAKE = ReadModifyWriteStateSpec("awake", FloatCoder())
    WORKER = ReadModifyWriteStateSpec("worker", StrUtf8Coder())
    GRANT = TimerSpec("grant", TimeDomain.REAL_TIME)
    SEND = TimerSpec("send", TimeDomain.REAL_TIME)
    WINDOW_ENDS = TimerSpec("window-ends", TimeDomain.WATERMARK)

    def __init__(
        self,
        base_url: str,
        accesses: Sequence[Access],
        delivery: Delivery,
        clock: Callable[[], float],
    ) -> None:
        self._base_url = base_url
        lanes = delivery.lanes
        self._accesses = {
            key_of(access.name, lane, lanes): replace(
                access, budget=replace(access.budget, lane=lane, lanes=lanes)
            )
            for access in accesses
            for lane in range(lanes)
        }
        self._delivery = replace(delivery, in_flight=delivery.in_flight // lanes, lanes=1)
        self._clock = clock
        self._tally = PatchCounters()

    def setup(self) -> None:  # noqa: D102
        self._pool = SenderPool(self._base_url, self._delivery, self._clock)

    def teardown(self) -> None:  # noqa: D102
        self._pool.close()

    def process(  # noqa: D102
        self,
        keyed: tuple[str, Patch],
        queued: BagRuntimeState = beam.DoFn.StateParam(QUEUED),
        awake: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(AWAKE),
        grant: RuntimeTimer = beam.DoFn.TimerParam(GRANT),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> None:
        key, patch = keyed
        if key not in self._accesses:
            raise KeyError(f"there is no user whose patches go by {key!r}")
        self._tally.arrived([patch])
        queued.add(patch)
        window_ends.set(GlobalWindow().max_timestamp())
        if awake.read() is None:
            now = self._clock()
            awake.write(now)
            grant.set(Timestamp.of(now))

    @on_timer(GRANT)
    def grant(  # noqa: D102
        self,
        key: str = beam.DoFn.KeyParam,
        queued: BagRuntimeState = beam.DoFn.StateParam(QUEUED),
        head: BagRuntimeState = beam.DoFn.StateParam(HEAD),
        tail: BagRuntimeState = beam.DoFn.StateParam(TAIL),
        tail_length: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(TAIL_LENGTH),
        granted: BagRuntimeState = beam.DoFn.StateParam(GRANTED),
        allowed: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(ALLOWED),
        spent: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BUDGET),
        paced: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(PACE),
        awake: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(AWAKE),
        worker: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(WORKER),
        grant: RuntimeTimer = beam.DoFn.TimerParam(GRANT),
        send: RuntimeTimer = beam.DoFn.TimerParam(SEND),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> Iterator[Any]:
        cells = QueueCells(queued, head, tail, tail_length)
        access = self._accesses.get(key)
        if access is None:
            yield from self._leave(cells, granted, ANOTHER_LANE)
            awake.clear()
            return
        now = self._clock()
        awake.write(now)
        waiting = QueueState(cells, now, TURN_REQUESTS)
        yield from self._tally.each(superseded(waiting.superseded, now))
        again_at = waiting.wakes_at
        ready = waiting.queue.ready
        requests = 0
        budget = _budget(access, spent)
        pace = _pace(paced, budget)
        pace.note(waiting.came, len(waiting), now)
        if ready:
            # What a lost worker sent after its state was last kept shows in the next answer.
            alone = budget.needs_probe(now) or worker.read() != PROCESS
            turn = 1 if alone else min(TURN_REQUESTS, ready + SPARE_REQUESTS)
            requests, wait_seconds = pace.take(turn, now, pace.gathered(min(turn, READ_LEAST)))
            spent.write(budget.dump())
            if pace.part_seconds >= LOOK_LEAST_SECONDS:
                wait_seconds = min(wait_seconds, pace.part_seconds)  # to note what comes
            again_at = now + wait_seconds
        paced.write(pace.dump())
        waiting.save(access.name, granted, min(ready, requests))
        if requests:
            allowed.write(requests)
            send.set(Timestamp.of(now))
            return
        if not ready:
            awake.clear()  # What comes next is not to wait for what met trouble.
        if again_at is not None:
            grant.set(Timestamp.of(again_at))
            window_ends.set(GlobalWindow().max_timestamp())

    @on_timer(SEND)
    def send(  # noqa: D102
        self,
        key: str = beam.DoFn.KeyParam,
        head: BagRuntimeState = beam.DoFn.StateParam(HEAD),
        granted: BagRuntimeState = beam.DoFn.StateParam(GRANTED),
        allowed: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(ALLOWED),
        spent: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BUDGET),
        paced: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(PACE),
        worker: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(WORKER),
        grant: RuntimeTimer = beam.DoFn.TimerParam(GRANT),
        window_ends: RuntimeTimer = beam.DoFn.TimerParam(WINDOW_ENDS),
    ) -> Iterator[Any]:
        access = self._accesses.get(key)
        if access is None:
            grant.set(Timestamp.of(self._clock()))
            return
        patches = list(granted.read())
        if not patches:
            return  # The window has ended meanwhile.
        granted.clear()
        budget = _budget(access, spent)
        turn_grant = Grant(budget, allowed.read() or 0)
        again_at = self._clock()
        for settled in self._pool.deliver(
            {access: patches}, {access.name: turn_grant}, until=again_at + TURN_SECONDS
        ):
            if isinstance(settled, Outcome):
                yield from self._tally.each([settled])
                continue
            for patch in settled.patches:
                head.add(patch)
            again_at = max(again_at, settled.held_until)
            if settled.paused is not None:
                again_at = max(again_at, self._clock() + PAUSED_SECONDS)
        worker.write(PROCESS)
        self._tally.spent(self._pool)
        pace = _pace(paced, budget)
        pace.give_back(turn_grant.close(), self._clock())
        paced.write(pace.dump())
        spent.write(budget.dump())
        grant.set(Timestamp.of(again_at))
        # Once more, for it may have fired while this was under way.
        window_ends.set(GlobalWindow().max_timestamp())

    @on_timer(WINDOW_ENDS)
    def window_ends(  # noqa: D102
        self,
        queued: BagRuntimeState = beam.DoFn.StateParam(QUEUED),
        head: BagRuntimeState = beam.DoFn.StateParam(HEAD),
        tail: BagRuntimeState = beam.DoFn.StateParam(TAIL),
        tail_length: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(TAIL_LENGTH),
        granted: BagRuntimeState = beam.DoFn.StateParam(GRANTED),
        grant: RuntimeTimer = beam.DoFn.TimerParam(GRANT),
    ) -> Iterator[Any]:
        # Waiting for a spent budget, it would keep a drained job for an hour. Set rather than
        # cleared: Prism fires a timer that is cleared, at once and again.
        grant.set(Timestamp.of(self._clock()))
        yield from self._leave(QueueCells(queued, head, tail, tail_length), granted)

    def _leave(self, cells: QueueCells, granted: BagRuntimeState, *detail: str) -> Iterator[Any]:
        left = [*granted.read(), *cells.drain()]
        granted.clear()
        yield from self._tally.each(deferred(left, self._clock(), *detail))


def _budget(access: Access, spent: ReadModifyWriteRuntimeState) -> Budget:
    dumped = spent.read()
    return Budget(access.budget) if dumped is None else Budget.load(dumped, access.budget)


def _pace(paced: ReadModifyWriteRuntimeState, budget: Budget) -> EvenPace:
    dumped = paced.read()
    return EvenPace(budget) if dumped is None else EvenPace.load(dumped, budget)
