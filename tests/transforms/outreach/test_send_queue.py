"""The queue: nothing is lost in it, and at most one request is in flight a prospect."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.data.changes import change, ids, ids_of_patches, patch
from transforms.elements import Change, Patch
from transforms.fold import is_newer
from transforms.outreach.send_queue import SendQueue, Work


def filled(*prospects: int) -> SendQueue:
    queue = SendQueue()
    for prospect in prospects:
        assert queue.add(patch(prospect)) == []
    return queue


def patch_of(*changes: Change) -> Patch:
    return Patch(changes[0].outreach_id, "ops", list(changes))


def taken(queue: SendQueue) -> list[int]:
    """The prospects in the order in which they are taken, until nothing is ready."""
    return [queue.take().outreach_id for _ in range(queue.ready)]


def test_what_waited_longest_is_taken_first() -> None:
    assert taken(filled(3, 1, 2)) == [3, 1, 2]


def test_what_comes_for_a_prospect_that_waits_is_merged_and_the_newest_wins() -> None:
    queue = SendQueue()
    older, newer, other = change(time=1), change(time=2, value="exited"), change(field="custom5")

    lost = [queue.add(patch_of(newer)), queue.add(patch_of(older, other))]

    assert lost == [[], [older]]
    assert len(queue) == queue.ready == 1
    assert queue.take().changes == [newer, other]


def test_what_comes_for_a_prospect_in_flight_waits_until_that_is_answered() -> None:
    queue = filled(1)
    work = queue.take()
    news = change(time=5, value="exited")

    assert queue.add(patch_of(news)) == []
    assert (queue.ready, queue.in_flight, len(queue)) == (0, 1, 1)
    queue.done(work)
    assert queue.take().changes == [news]


def test_a_value_older_than_the_one_in_flight_is_not_sent_after_it() -> None:
    queue = SendQueue()
    newest, stale, news = change(time=9), change(time=8, value="exited"), change(field="custom5")
    queue.add(patch_of(newest))
    work = queue.take()

    assert queue.add(patch_of(stale, news)) == [stale]
    queue.done(work)
    assert queue.take().changes == [news]


def test_a_change_that_arrives_again_while_it_is_in_flight_is_not_sent_twice() -> None:
    queue = SendQueue()
    only = change()
    queue.add(patch_of(only))
    work = queue.take()

    assert queue.add(patch_of(only)) == [only]
    queue.done(work)
    assert len(queue) == 0


def test_of_a_timed_and_an_untimed_value_the_later_published_follows_the_one_in_flight() -> None:
    queue = SendQueue()
    before, flying, after = change(time=None), change(time=9), change(time=None, value="exited")
    queue.add(patch_of(flying))
    work = queue.take()

    assert queue.add(patch_of(before)) == [before]
    assert queue.add(patch_of(after)) == []
    queue.done(work)
    assert queue.take().changes == [after]


def test_what_goes_back_is_next_and_takes_what_came_meanwhile_along() -> None:
    queue = SendQueue()
    flying, newer = change(1, time=1), change(1, time=2, value="exited")
    queue.add(patch_of(flying))
    queue.add(patch(2))
    work = queue.take()
    queue.add(patch_of(newer))

    assert queue.again(work) == [flying]
    assert queue.take().changes == [newer]


def test_what_met_trouble_waits_for_its_time_and_holds_nothing_up() -> None:
    queue = filled(1, 2)
    queue.later(queue.take(), 10.0)

    assert (queue.wake(9.9), queue.delayed) == (10.0, 1)
    assert queue.take().outreach_id == 2
    assert queue.wake(10.0) is None
    assert queue.take().outreach_id == 1


def test_what_comes_for_a_prospect_that_met_trouble_waits_with_it() -> None:
    queue = filled(1)
    queue.later(queue.take(), 10.0)

    queue.add(patch(1, custom5="x"))

    assert (queue.ready, queue.delayed, len(queue)) == (0, 1, 1)


def test_a_merge_undoes_a_narrowing_and_a_reading_but_not_the_trouble_met() -> None:
    queue = SendQueue()
    first, second = change(time=1), change(field="custom5")
    queue.add(patch_of(first, second))
    work = queue.take()
    work.changes, work.rest, work.read = [first], [[second]], True
    work.attempts, work.troubled_since = 3, 7.0
    newer = change(time=2)
    queue.add(patch_of(newer))

    assert queue.again(work) == [first]
    assert work.changes == [newer, second]
    assert (work.rest, work.read) == ([], False)
    assert (work.attempts, work.troubled_since) == (3, 7.0)


def test_the_unread_among_the_next_are_taken_together_and_the_read_keep_their_place() -> None:
    queue = filled(1, 2, 3, 4, 5)
    queue.leave_unread(1)
    queue.later(queue.take(), 1.0)
    queue.wake(1.0)
    assert queue.unread(9) == 0, "1 comes next, and need not be read"
    queue.later(queue.take(), 1.0)

    assert queue.unread(3) == 3
    assert [work.outreach_id for work in queue.take_unread(3)] == [2, 3, 4]
    assert (queue.in_flight, queue.unread(9)) == (3, 1)
    queue.leave_unread(9)
    assert queue.unread(9) == 0
    assert taken(queue) == [5]


def test_what_is_left_comes_out_with_all_it_met_and_goes_on_from_there() -> None:
    queue = filled(1, 2, 3)
    troubled = queue.take()
    troubled.attempts, troubled.troubled_since = 2, 100.5
    queue.later(troubled, 130.25)

    left = queue.clear("ops")

    assert [one.outreach_id for one in left] == [2, 3, 1]
    assert (left[2].attempts, left[2].troubled_since) == (2, 100_500_000)
    assert [one.not_before for one in left] == [0, 0, 130_250_000]
    assert len(queue) == 0

    for one in left:
        queue.add(one)
    assert (queue.ready, queue.wake(130.0)) == (2, 130.25)
    assert queue.wake(130.25) is None
    again = queue.take()
    assert (again.outreach_id, again.attempts, again.troubled_since) == (1, 2, 100.5)


def test_what_is_left_of_a_narrowed_patch_is_all_that_is_undecided() -> None:
    queue = SendQueue()
    parts = [change(field=f"custom{number}") for number in (1, 2, 3)]
    queue.add(patch_of(*parts))
    work = queue.take()
    work.changes, work.rest = [parts[0]], [[parts[2]], [parts[1]]]
    queue.again(work)

    assert ids_of_patches(queue.clear("ops")) == ids(parts)


def test_what_is_left_is_not_to_be_sent_while_the_server_wants_none() -> None:
    queue = filled(1, 2)
    queue.later(queue.take(), 50.0)

    assert [one.not_before for one in queue.clear("ops", 40.0)] == [40_000_000, 50_000_000]


def test_what_waits_behind_a_request_in_flight_is_left_too() -> None:
    queue = filled(1)
    work = queue.take()
    news = patch(1, custom5="x")
    queue.add(news)

    assert ids_of_patches(queue.clear("ops")) == ids(news.changes)
    queue.done(work)
    assert len(queue) == 0


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
