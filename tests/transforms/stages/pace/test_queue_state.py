"""A queue in the state of a key: as if all of it were read in each turn, though little is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.beam.states import Bag, Cell
from tests.support.data.changes import change, ids, ids_of_patches, patch, patches
from transforms.elements import Change, Patch
from transforms.outreach.send_queue import SendQueue
from transforms.stages import queue_state
from transforms.stages.queue_state import HEAD_PATCHES, QueueCells, QueueState


class CountedBag(Bag):
    """Counts the patches that are read."""

    was_read = 0

    def read(self) -> Iterable[Any]:
        self.was_read += len(self.elements)
        return super().read()


class Key:
    """A key whose turns send so many patches as they are told."""

    def __init__(self) -> None:
        self.cells = QueueCells(CountedBag(), CountedBag(), CountedBag(), Cell())  # type: ignore[arg-type]
        self.superseded: list[Change] = []
        self.came = 0

    @property
    def bags(self) -> list[CountedBag]:
        return [self.cells.came, self.cells.head, self.cells.tail]  # type: ignore[list-item]

    def arrive(self, some: Iterable[Patch]) -> None:
        for one in some:
            self.cells.came.add(one)

    def turn(self, count: int, now: float = 0.0) -> list[Patch]:
        waiting = QueueState(self.cells, now, count)
        self.superseded += waiting.superseded
        self.came += waiting.came
        granted = Bag()
        waiting.save("ops", granted, min(count, waiting.queue.ready))  # type: ignore[arg-type]
        return granted.elements


@pytest.fixture
def short_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_state, "HEAD_PATCHES", 6)


def as_sent(patch: Patch) -> tuple[int, list[str]]:
    return patch.outreach_id, [each.change_id for each in patch.changes]


@pytest.mark.usefixtures("short_head")
@pytest.mark.parametrize("seed", range(40))
def test_each_turn_sends_what_it_would_if_the_whole_queue_were_read(seed: int) -> None:
    source = random.Random(seed)
    key, whole = Key(), SendQueue()
    given: list[Change] = []
    sent: list[Patch] = []
    superseded: list[Change] = []
    for _ in range(60):
        some = [
            Patch(who := source.randrange(1, 40), "ops", [change(who, time=source.randrange(9))])
            for _ in range(source.choice([0, 1, 3, 12]))
        ]
        given += [each for one in some for each in one.changes]
        key.arrive(some)
        superseded += [lost for one in some for lost in whole.add(one)]
        count = source.choice([0, 1, 4, 9])
        expected = []
        for _ in range(min(count, whole.ready)):
            work = whole.take()
            expected.append((work.outreach_id, [each.change_id for each in work.all_changes()]))
            whole.done(work)

        granted = key.turn(count)

        assert [as_sent(one) for one in granted] == expected
        sent += granted
    left = key.cells.drain()

    assert key.cells.tail_length.read() is None
    ended = [each for one in [*sent, *left] for each in one.changes]
    assert ids([*ended, *key.superseded]) == ids(given)
    rest = [each.outreach_id for each in left]
    assert len(set(rest)) <= len(whole) == len({*rest})


@pytest.mark.usefixtures("short_head")
def test_what_comes_for_a_prospect_that_waits_far_behind_is_merged_before_it_is_sent() -> None:
    key = Key()
    key.arrive(patches(range(1, 31), custom4="old"))
    key.turn(0)
    key.arrive(patches([30], custom4="new"))

    sent = [one for _ in range(10) for one in key.turn(4)]

    assert [one.outreach_id for one in sent] == list(range(1, 31))
    assert [each.value for each in sent[-1].changes] == ['"new"']
    assert [each.value for each in key.superseded] == ['"old"']


@pytest.mark.usefixtures("short_head")
def test_what_waits_for_its_time_is_not_put_behind_and_goes_when_its_time_has_come() -> None:
    key = Key()
    delayed = [one._replace(not_before=5_000_000) for one in patches([1, 2])]
    key.arrive([*delayed, *patches(range(3, 31))])

    early = key.turn(3, now=0.0)
    due = key.turn(3, now=5.0)

    assert {one.outreach_id for one in early}.isdisjoint({1, 2})
    assert {1, 2} <= {one.outreach_id for one in due}


def test_what_came_back_from_a_turn_is_merged_with_what_came_meanwhile() -> None:
    key = Key()
    key.arrive(patches([1], custom4="old"))
    (granted,) = key.turn(1)
    key.arrive([patch(1, custom4="new")])
    key.cells.head.add(granted)

    (again,) = key.turn(1)

    assert [each.value for each in again.changes] == ['"new"']
    assert ids(key.superseded) == ids_of_patches([granted])


def test_a_turn_reads_little_of_a_long_queue() -> None:
    key = Key()
    waiting, turn = 40_000, 200
    key.arrive(patches(range(waiting)))
    key.turn(0)
    for bag in key.bags:
        bag.was_read = 0

    turns = 60
    for _ in range(turns):
        assert len(key.turn(turn)) == turn

    read = sum(bag.was_read for bag in key.bags)
    assert read / turns < HEAD_PATCHES + waiting * turn / HEAD_PATCHES < waiting / 6


def test_what_merges_with_what_waits_does_not_count_as_come() -> None:
    key = Key()
    key.arrive(patches([1, 2, 3]))
    key.turn(0)
    assert key.came == 3

    key.arrive(patches([2, 4]))
    key.turn(0)

    assert key.came == 4
