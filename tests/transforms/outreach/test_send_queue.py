"""The queue: what waits longest goes first, and what comes meanwhile is merged."""

from __future__ import annotations

from tests.support.data.changes import change, ids, ids_of_patches, patch
from tests.transforms.outreach.queueing import filled, patch_of, taken
from transforms.outreach.send_queue import SendQueue


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
