"""The fold: newest wins, whatever the order, repetition or grouping."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import Change
from transforms.fold import Held, Known, gather, settle, weigh


def change(
    field: str = "custom4",
    value: str = '"realized"',
    *,
    time: int | None = 0,
    sequence: int = 0,
    prospect: int = 1,
    retry: bool = False,
) -> Change:
    return Change(
        f"{sequence}-{prospect}-{field}", prospect, "ops", field, value, "s", None, "realized",
        time, sequence, retry,
    )  # fmt: skip


@st.composite
def arrivals(draw: st.DrawFn) -> list[Change]:
    """Changes of a few prospects and fields; each has a place of its own, as in a file."""
    shapes = draw(
        st.lists(
            st.tuples(
                st.integers(1, 3),
                st.sampled_from(["custom1", "custom2"]),
                st.none() | st.integers(0, 5),
            ),
            max_size=25,
        )
    )
    return [
        change(field, f'"{place}"', time=time, sequence=place, prospect=prospect)
        for place, (prospect, field, time) in enumerate(shapes)
    ]


def outcome(groups: list[list[Change]]) -> tuple[dict[tuple[int, str], str], list[str]]:
    """The values that win, and the ids of the changes that lose, folding group by group."""
    held: dict[int, Held] = {}
    lost: list[Change] = []
    for group in groups:
        part: dict[int, Held] = {}
        lost += gather(part, group)
        for best in part.values():
            lost += gather(held, best.values())
    won: dict[tuple[int, str], str] = {}
    for prospect, best in held.items():
        winners, behind = settle(best)
        lost += behind
        won |= {(prospect, winner.field): winner.value for winner in winners}
    return won, sorted(one.change_id + one.value for one in lost)


def oracle(changes: list[Change]) -> dict[tuple[int, str], str]:
    """As the contract says it: read in order, an untimed change is as new as what precedes it."""
    newest: dict[tuple[int, str], tuple[int, int, str]] = {}
    seen: dict[tuple[int, str], int] = {}
    for one in changes:
        key = (one.outreach_id, one.field)
        time = seen.get(key, -1) if one.event_time is None else one.event_time
        seen[key] = max(seen.get(key, -1), time)
        rank = (time, one.sequence, one.value)
        newest[key] = max(newest.get(key, rank), rank)
    return {key: value for key, (_, _, value) in newest.items()}


@given(arrivals(), st.data())
def test_the_fold_does_not_care_about_order_or_grouping(
    changes: list[Change], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(changes))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(changes)), max_size=4)))
    groups = [shuffled[start:end] for start, end in pairwise([0, *cuts, len(changes)])]

    assert outcome(groups)[0] == outcome([changes])[0] == oracle(changes)


@given(arrivals(), st.data())
def test_every_change_wins_or_loses_and_none_does_both(
    changes: list[Change], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(changes))
    won, lost = outcome([shuffled])

    assert len(won) + len(lost) == len(changes)
    assert len(set(lost)) == len(lost)


@given(arrivals(), st.data())
def test_what_arrives_twice_changes_nothing(changes: list[Change], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(changes))) if changes else []

    assert outcome([changes + again])[0] == outcome([changes])[0]


def test_at_equal_times_the_later_published_wins() -> None:
    first, second = change(value='"a"', sequence=1), change(value='"b"', sequence=2)

    for order in ([first, second], [second, first]):
        held: dict[int, Held] = {}
        assert gather(held, order) == [first]
        assert settle(held[1]) == ([second], [])


def test_what_is_older_than_the_known_value_costs_no_request() -> None:
    known = {"custom4": Known('"realized"', 100, 1)}

    weighed = weigh([change(value='"exited"', time=99, sequence=9)], known)

    assert [one.value for one in weighed.superseded] == ['"exited"']
    assert (weighed.due, weighed.unchanged) == ([], [])
    assert known == {"custom4": Known('"realized"', 100, 1)}


def test_what_equals_the_known_value_costs_no_request_and_counts_as_newer() -> None:
    known = {"custom4": Known('"realized"', 100, 1)}

    weighed = weigh([change(time=200, sequence=2)], known)

    assert len(weighed.unchanged) == 1
    assert known == {"custom4": Known('"realized"', 200, 2)}


def test_what_was_refused_before_is_sent_though_it_equals_the_known_value() -> None:
    known = {"custom4": Known('"realized"', 100, 1)}

    assert len(weigh([change(time=100, sequence=1, retry=True)], known).due) == 1


def test_what_was_deferred_is_superseded_by_what_was_delivered_meanwhile() -> None:
    known = {"custom4": Known('"exited"', 100, 1)}

    assert len(weigh([change(time=99, sequence=2, retry=True)], known).superseded) == 1
