"""Hold's pure part: what is held, known and released, without a stream."""

from __future__ import annotations

from tests.support.beam.states import Bag, Cell, Timer
from tests.support.data.changes import change
from transforms.fold import Known
from transforms.stages.coalesce_stateful import (
    REPEATS_SECONDS,
    HoldDoFn,
    by_prospect,
    release,
    without_repeats,
)

HOLD = 5.0
REMEMBER = 100.0


def test_what_is_known_grows_with_the_fields_and_not_with_the_changes() -> None:
    stage = HoldDoFn(HOLD, REMEMBER, lambda: 0.0)
    held, seen, known, heard = Bag(), Bag(), Bag(), Cell()
    for number in range(10):
        stage.process(("1", change(value=str(number))), held, Timer(), Timer())
        stage.process(("1", change(field="custom5", value="same")), held, Timer(), Timer())
        list(stage.hold_ends(held, seen, known, heard, Timer(), Timer()))

    assert [field for field, _ in known.read()] == ["custom4", "custom5"]
    assert held.elements == []


def test_two_changes_of_one_message_may_share_its_id() -> None:
    one = change(value="a")
    other = one._replace(namespace="crm", value='"b"')

    assert without_repeats([one, other, one], {}, 0.0) == ([one, other], 1)


def test_what_came_long_ago_is_not_looked_for_any_more() -> None:
    one, seen = change(), dict[int, float]()

    without_repeats([one], seen, 0.0)
    assert without_repeats([one], seen, REPEATS_SECONDS) == ([], 1)
    assert without_repeats([], seen, REPEATS_SECONDS + 1) == ([], 0)
    assert seen == {}


def test_what_is_released_brings_what_is_known_up_to_date() -> None:
    known = {"custom4": Known('"a"', 5, 1), "custom5": Known('"b"', 5, 2)}
    news, same, stale = (
        change(value="c", time=7),
        change(field="custom5", value="b", time=6),
        change(value="d", time=4),
    )

    due = release([news, same, stale], known)

    assert (due.changes, due.unchanged, due.superseded) == ([news], [same], [stale])
    assert known == {
        "custom4": Known('"c"', 7, news.sequence),
        "custom5": Known('"b"', 6, same.sequence),
    }


def test_nothing_held_releases_nothing() -> None:
    assert release([], {"custom4": Known('"a"', 5, 1)}) == ([], [], [])


def test_each_change_goes_by_its_prospects_id_as_text() -> None:
    one, two = change(1), change(22)

    assert list(by_prospect([one, two])) == [("1", one), ("22", two)]
