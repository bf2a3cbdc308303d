"""Whatever befalls a queue, nothing is lost, and one request is in flight a prospect."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.data.changes import change
from transforms.elements import Change, Patch
from transforms.fold import is_newer
from transforms.outreach.send_queue import SendQueue, Work


class Journey(RuleBasedStateMachine):
    """Any use of a queue, beside a plain account of where each change is."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = SendQueue()
        self.flying: dict[int, Work] = {}
        self.arrived: list[str] = []
        self.ended: list[str] = []
        self.now = 0.0

    def depart(self, work: Work) -> None:
        assert work.outreach_id not in self.flying, "two requests in flight for one prospect"
        self.flying[work.outreach_id] = work

    def end(self, changes: list[Change]) -> None:
        self.ended += [each.change_id for each in changes]

    def land(self, data: st.DataObject) -> Work:
        return self.flying.pop(data.draw(st.sampled_from(sorted(self.flying))))

    @rule(
        prospect=st.integers(1, 3),
        times=st.dictionaries(
            st.sampled_from(["custom1", "custom2", "custom3"]),
            st.none() | st.integers(0, 5),
            min_size=1,
        ),
        since=st.none() | st.integers(0, 5),
        wait=st.integers(0, 3),
    )
    def add(
        self, prospect: int, times: dict[str, int | None], since: int | None, wait: int
    ) -> None:
        changes = [change(prospect, field, time=time) for field, time in times.items()]
        self.arrived += [each.change_id for each in changes]
        not_before = round(self.now + wait) * 1_000_000
        self.end(self.queue.add(Patch(prospect, "ops", changes, 0, since, not_before)))

    @precondition(lambda self: self.queue.ready)
    @rule()
    def take(self) -> None:
        self.depart(self.queue.take())

    @rule(most=st.integers(1, 3))
    def take_unread(self, most: int) -> None:
        expected = self.queue.unread(most)
        chunk = self.queue.take_unread(most) if expected else []
        assert len(chunk) == expected
        for work in chunk:
            self.depart(work)

    @rule(most=st.integers(1, 3))
    def leave_unread(self, most: int) -> None:
        self.queue.leave_unread(most)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        work = self.land(data)
        self.end(work.all_changes())
        self.queue.done(work)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        self.end(self.queue.again(self.land(data)))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def narrow(self, data: st.DataObject) -> None:
        work = self.land(data)
        part = data.draw(st.integers(0, len(work.changes)))
        work.rest.append(work.changes[part:])
        self.end(work.changes[:part])
        work.changes = work.rest.pop()
        if work.changes:
            self.end(self.queue.again(work))
        else:
            self.end([each for rest in work.rest for each in rest])
            self.queue.done(work)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), seconds=st.integers(0, 3))
    def later(self, data: st.DataObject, seconds: int) -> None:
        self.end(self.queue.later(self.land(data), self.now + seconds))

    @rule()
    def recall(self) -> None:
        self.end(self.queue.recall())
        self.flying.clear()

    @rule(seconds=st.integers(0, 2))
    def wake(self, seconds: int) -> None:
        self.now += seconds
        due = self.queue.wake(self.now)
        assert due is None or due > self.now

    @rule()
    def leave_and_come_again(self) -> None:
        left = self.queue.clear("ops")
        assert len(self.queue) == self.queue.ready == self.queue.delayed == 0
        for one in left:
            self.end(self.queue.add(one))

    @invariant()
    def each_change_is_in_one_place(self) -> None:
        queue = self.queue
        places = (queue._waiting, queue._behind, queue._in_flight)
        undecided = [
            each.change_id
            for place in places
            for work in place.values()
            for each in work.all_changes()
        ]
        assert sorted(undecided + self.ended) == sorted(self.arrived)

    @invariant()
    def one_entry_a_prospect(self) -> None:
        queue = self.queue
        assert queue.ready + queue.delayed == len(queue._waiting)
        assert queue._in_flight == self.flying
        assert not queue._waiting.keys() & queue._in_flight.keys()
        assert queue._behind.keys() <= queue._in_flight.keys()

    @invariant()
    def what_waits_behind_is_newer(self) -> None:
        for prospect, behind in self.queue._behind.items():
            flying = {each.field: each for each in self.flying[prospect].all_changes()}
            for each in behind.changes:
                other = flying.get(each.field)
                if other is not None and None not in (each.event_time, other.event_time):
                    assert is_newer(each, other)


Journey.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
TestJourney = Journey.TestCase
