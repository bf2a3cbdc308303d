"""Hold, the unbounded half of coalesce, on TestStream.

What TestStream cannot show: whether a runner keeps the state through a crash or an update.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from apache_beam.pvalue import PCollection

from tests.support.beam.stream import Came, Event, come, flow, stream_time, wait
from tests.support.data.changes import change, ids
from transforms.elements import Change
from transforms.stages.coalesce import Coalesce

HOLD = 5.0
REMEMBER = 100.0
Run = Callable[..., list[Came]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def running(*events: Event, clock: Callable[[], float] = stream_time) -> list[Came]:
        def stages(changes: PCollection) -> dict[str, PCollection]:
            result = changes | "Coalesce" >> Coalesce(HOLD, REMEMBER, clock)
            (outcomes,) = result.outcomes
            return {"patch": result.patches, "outcome": outcomes}

        return flow(monkeypatch, events, list[Change], stages)

    return running


def arrive(*changes: Change) -> Event:
    return come(list(changes))


def sent(came: list[Came]) -> list[tuple[float, int, dict[str, str]]]:
    """The patches: when, for whom, and each field's value."""
    return [
        (one.at, one.element.outreach_id, {each.field: each.value for each in one.element.changes})
        for one in came
        if one.what == "patch"
    ]


def ended(came: list[Came], name: str) -> list[str]:
    """Ids of the changes that came to this outcome here."""
    return ids(
        each
        for one in came
        if one.what == "outcome" and one.element.outcome == name
        for each in one.element.changes
    )


def test_what_comes_within_the_hold_leaves_as_one_patch_of_the_newest_values(run: Run) -> None:
    old, newest, stale = change(time=1), change(time=9, value="exited"), change(time=8)
    other = change(field="custom5")

    came = run(
        arrive(old), wait(2), arrive(newest, other), wait(2), arrive(stale), wait(0.9), wait(0.2)
    )

    assert sent(came) == [(5.1, 1, {"custom4": '"exited"', "custom5": '"realized"'})]
    assert ended(came, "superseded") == ids([old, stale])


def test_a_hold_is_not_prolonged_by_what_comes_in_it(run: Run) -> None:
    came = run(
        arrive(change(value="a")), wait(4), arrive(change(value="b")), wait(1),
        arrive(change(value="c")), wait(4), wait(1),
    )  # fmt: skip

    assert sent(came) == [(5.0, 1, {"custom4": '"b"'}), (10.0, 1, {"custom4": '"c"'})]


def test_prospects_do_not_wait_for_one_another(run: Run) -> None:
    came = run(arrive(change(1)), wait(3), arrive(change(2)), wait(2), wait(3))

    assert [(at, prospect) for at, prospect, _ in sent(came)] == [(5.0, 1), (8.0, 2)]


def test_afterwards_stale_and_unchanged_values_cost_nothing(run: Run) -> None:
    first, same, stale = change(time=5), change(time=6), change(time=4, value="exited")
    news = change(time=7, value="exited")

    came = run(
        arrive(first), wait(6), arrive(same), wait(6), arrive(stale), wait(6), arrive(news), wait(6)
    )

    assert [value for _, _, value in sent(came)] == [
        {"custom4": '"realized"'}, {"custom4": '"exited"'},
    ]  # fmt: skip
    assert ended(came, "unchanged") == [same.change_id]
    assert ended(came, "superseded") == [stale.change_id]


def test_what_was_unchanged_is_as_new_as_it_was_all_the_same(run: Run) -> None:
    stale = change(time=8, value="exited")

    came = run(
        arrive(change(time=5)), wait(6), arrive(change(time=9)), wait(6), arrive(stale), wait(6)
    )

    assert len(sent(came)) == 1
    assert ended(came, "superseded") == [stale.change_id]


def test_a_prospect_of_whom_nothing_is_heard_is_forgotten_in_time_and_not_before(
    run: Run,
) -> None:
    early, late = change(time=2), change(time=3)

    came = run(
        arrive(change(time=1)), wait(HOLD), wait(REMEMBER - HOLD - 1),
        arrive(early), wait(HOLD),  # remembered, and from now on anew
        wait(REMEMBER - 1), wait(2),
        arrive(late), wait(HOLD),
    )  # fmt: skip

    assert ended(came, "unchanged") == [early.change_id]
    assert [at for at, _, _ in sent(came)] == [5.0, 210.0]


def a_little_slow() -> float:
    return 0.999 * stream_time()


def virtual() -> float:
    return stream_time() / 2


def test_a_clock_that_lags_a_little_behind_the_runners_forgets_all_the_same(run: Run) -> None:
    came = run(
        arrive(change(time=1)), wait(6), wait(REMEMBER - 0.005), wait(2),
        arrive(change(time=2)), wait(6),
        clock=a_little_slow,
    )  # fmt: skip

    assert len(sent(came)) == 2


def test_a_runner_whose_time_jumps_ahead_forgets_nothing(run: Run) -> None:
    same = change(time=2)

    came = run(
        arrive(change(time=1)), wait(6), wait(REMEMBER + 1), arrive(same), wait(60),
        clock=virtual,
    )  # fmt: skip

    assert ended(came, "unchanged") == [same.change_id]


def test_what_was_refused_or_deferred_is_sent_though_it_is_remembered(run: Run) -> None:
    first, again = change(time=5), change(time=5, retry=True)

    came = run(arrive(first), wait(6), arrive(again), wait(6))

    assert len(sent(came)) == 2
    assert ended(came, "unchanged") == []


def test_what_takes_the_place_of_a_retried_change_is_sent_in_its_stead(run: Run) -> None:
    first, again, newer = change(time=5), change(time=5, retry=True), change(time=9)

    came = run(arrive(first), wait(6), arrive(again), wait(1), arrive(newer), wait(6))

    assert [at for at, _, _ in sent(came)] == [6.0, 13.0]
    assert ended(came, "superseded") == [again.change_id]


def test_a_retried_change_that_was_overtaken_is_not_sent(run: Run) -> None:
    again = change(time=5, retry=True, value="exited")

    came = run(arrive(change(time=9)), wait(6), arrive(again), wait(6))

    assert len(sent(came)) == 1
    assert ended(came, "superseded") == [again.change_id]


def test_on_a_drain_what_is_held_is_put_out(run: Run) -> None:
    stale = change(2, time=1)

    came = run(arrive(change(2, time=5)), wait(6), arrive(change(1), stale))

    assert sorted(prospect for _, prospect, _ in sent(came)) == [1, 2]
    assert ended(came, "superseded") == [stale.change_id]


def test_each_change_leaves_in_a_patch_or_ends_here_and_none_does_both(run: Run) -> None:
    source = random.Random(7)
    arrived: list[Change] = []
    events: list[Event] = []
    for _ in range(60):
        some = [
            change(
                source.randrange(1, 6),
                source.choice(["custom1", "custom2"]),
                source.choice("ab"),
                time=source.choice([None, source.randrange(20)]),
                retry=source.random() < 0.1,
            )
            for _ in range(source.randrange(1, 4))
        ]
        arrived += some
        events += [arrive(*some), wait(source.randrange(1, 4))]

    came = run(*events)

    left = [each for one in came if one.what == "patch" for each in one.element.changes]
    here = ended(came, "superseded") + ended(came, "unchanged")
    assert sorted(ids(left) + here) == ids(arrived)
    assert ended(came, "unchanged")
    assert ended(came, "superseded")


def test_a_message_that_is_delivered_again_adds_nothing_to_what_it_held(run: Run) -> None:
    first, other = change(time=5), change(field="custom5", time=5)
    newer = change(time=9, value="exited")

    came = run(
        arrive(first, first), wait(6), arrive(first, other), wait(6), arrive(newer, first), wait(6)
    )

    left = [each for one in came if one.what == "patch" for each in one.element.changes]
    assert ids(left) == ids([first, other, newer])
    assert ended(came, "superseded") + ended(came, "unchanged") == []


def test_the_same_said_again_is_another_change_with_an_outcome_of_its_own(run: Run) -> None:
    first = change(time=5)
    again = first._replace(sequence=first.sequence + 1)

    came = run(arrive(first, again), wait(6))

    left = [each for one in came if one.what == "patch" for each in one.element.changes]
    assert (left, ended(came, "superseded")) == ([again], [first.change_id])
