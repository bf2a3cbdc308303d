"""What the state of a key takes: bytes by the job's coders, and the time of one turn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from apache_beam.coders import Coder, FloatCoder, StrUtf8Coder

from tests.support.data.trace import segments
from transforms.budget.budget import Budget
from transforms.budget.rate_limits import RateLimits
from transforms.budget.terms import BudgetTerms
from transforms.coders import ChangeCoder, KnownCoder, PatchCoder
from transforms.elements import Block, Change, Patch
from transforms.fold import Known
from transforms.mapping import Audience, Mapping, OutreachUser, Plan
from transforms.stages.coalesce_stateful import release
from transforms.stages.parse import parse
from transforms.stages.patch_stateful import TURN_REQUESTS
from transforms.stages.queue_state import HEAD_PATCHES, QueueCells, QueueState

PROSPECT = 100_000_000
"""From here on prospects are counted: their ids have nine digits."""
_NOW = 1_800_000_000.0


@dataclass(frozen=True, slots=True)
class KeyBytes:
    """Bytes of state, without what a runner adds.

    Attributes:
      audiences: of a prospect.
      holding: its hold key, while the first change of each is held.
      remembered: its hold key, between its changes.
      waiting: a prospect in the queue of its user's key.
    """

    audiences: int
    holding: int
    remembered: int
    waiting: int


def changes_of(prospect: int, audiences: int) -> list[Change]:
    """One change for each audience, as parse and map make them of a message."""
    ids = segments(audiences)
    plan = Plan(
        "Oid",
        tuple(
            Audience(segment, None, segment, f"custom{place}", (("realized", '"realized"'),))
            for place, segment in enumerate(ids, 1)
        ),
        (),
        (OutreachUser("ops", 1.0),),
    )
    told = {"status": "realized", "lastQualificationTime": "2026-01-02T03:04:05Z"}
    message = {
        "segmentMembership": {"ups": dict.fromkeys(ids, told)},
        "identityMap": {"Oid": [{"id": str(prospect)}]},
    }
    line = json.dumps(message).encode()
    block = Block("a subscription", 1, [line], published=1_800_000_000_000_000, message_id="1")
    return Mapping(plan).map(parse(block, plan.identity, (), 0).memberships).changes


def key_bytes(audiences: int) -> KeyBytes:
    """What is kept of a prospect."""
    changes = changes_of(PROSPECT, audiences)
    known: dict[str, Known] = {}
    due = release(changes, known)
    key = _size(StrUtf8Coder(), str(PROSPECT))
    heard = _size(FloatCoder(), _NOW)
    remembered = key + heard + sum(_size(KnownCoder(), each) for each in known.items())
    return KeyBytes(
        audiences,
        key + sum(_size(ChangeCoder(), change) for change in changes),
        remembered,
        _size(PatchCoder(), Patch(PROSPECT, "ops", due.changes)),
    )


def budget_bytes(terms: BudgetTerms) -> int:
    """What a budget takes at most: after a window in which all was spent, evenly."""
    return len(_spent(terms).dump())


class EncodedBag:
    """Bag state that keeps what a runner does: each patch as the job's coder writes it."""

    def __init__(self, patches: Iterable[Patch] = ()) -> None:
        self._coder = PatchCoder()
        self._patches = [self._coder.encode(patch) for patch in patches]

    def add(self, patch: Patch) -> None:
        """As of Beam's bag state."""
        self._patches.append(self._coder.encode(patch))

    def read(self) -> Iterator[Patch]:
        """As of Beam's bag state."""
        return map(self._coder.decode, self._patches)

    def clear(self) -> None:
        """As of Beam's bag state."""
        self._patches = []


class Cell:
    """Read-modify-write state."""

    def __init__(self) -> None:
        self._value: int | None = None

    def read(self) -> int | None:
        """As of Beam's state."""
        return self._value

    def write(self, value: int) -> None:
        """As of Beam's state."""
        self._value = value

    def clear(self) -> None:
        """As of Beam's state."""
        self._value = None


def turn_seconds(waiting: int, audiences: int) -> float:
    """Processor time in which a turn reads, merges and writes, on an average of what waits.

    So many turns are taken as use up the head of the queue, which is read in each, and the
    reading of its tail, which comes once in as many.
    """
    changes = changes_of(PROSPECT, audiences)
    came = EncodedBag(
        Patch(prospect, "ops", [each._replace(outreach_id=prospect) for each in changes])
        for prospect in range(PROSPECT, PROSPECT + waiting)
    )
    cells: Any = QueueCells(came, EncodedBag(), EncodedBag(), Cell())  # type: ignore[arg-type]
    turns = HEAD_PATCHES // TURN_REQUESTS

    def take_turns() -> float:
        began = time.process_time()
        for _ in range(turns):
            state = QueueState(cells, _NOW, TURN_REQUESTS)
            state.save("ops", EncodedBag(), TURN_REQUESTS)  # type: ignore[arg-type]
        return (time.process_time() - began) / turns

    take_turns()  # The first of them reads all that came.
    return take_turns()


def _size(coder: Coder, value: object) -> int:
    return len(coder.encode(value))


def _spent(terms: BudgetTerms) -> Budget:
    budget = Budget(terms)
    interval = terms.per_seconds / terms.allowance
    for number in range(terms.allowance):
        now = _NOW - terms.per_seconds + number * interval
        budget.take(1, now)
        budget.learn(RateLimits(), now, answers_when_sent=budget.answers)
    return budget
