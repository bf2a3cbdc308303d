"""Receipts and dead letters: what is written of what became of a change."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import (
    DEFERRED,
    DELIVERED,
    OUTCOMES,
    REJECTED,
    SUPERSEDED,
    UNCHANGED,
    Block,
    Change,
    Outcome,
)
from transforms.receipts import dead_letter_line, dead_letters, receipt_line, receipts, receipts_of
from transforms.stages.parse import parse

TEXT = st.text(max_size=12)
MOMENTS = st.integers(0, 4_000_000_000_000_000)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    prospect = draw(st.integers(1, 2**63 - 1))
    field = draw(st.sampled_from(["custom1", "custom150", "firstName"]))
    return Change(
        change_id=f"{draw(st.from_regex(r'[0-9a-f]{8,24}(-[0-9]+)?', fullmatch=True))}"
        f"-{prospect}-{field}",
        outreach_id=prospect,
        user="ops",
        field=field,
        value=json.dumps(draw(st.none() | TEXT)),
        segment=draw(st.text(min_size=1, max_size=12).filter(str.strip)),
        namespace=draw(st.none() | st.just("ups")),
        origin=draw(st.sampled_from(["realized", "existing", "exited"])),
        event_time=draw(st.none() | MOMENTS),
        sequence=draw(st.integers(0, 2**50)),
    )


@given(
    st.lists(changes(), max_size=4),
    st.sampled_from(OUTCOMES),
    st.none() | TEXT,
    st.none() | TEXT,
    MOMENTS,
)
def test_a_receipt_is_json_and_says_all_of_a_change_and_its_outcome(
    ended: list[Change], outcome: str, reason: str | None, user: str | None, moment: int
) -> None:
    settled = Outcome(outcome, ended, moment, reason, "why", 404, user)
    written = receipts(settled)

    assert len(written) == len(ended)
    alone = [json.loads(receipt_line(receipt)) for receipt in receipts_of(settled)]
    assert alone == [json.loads(line) for line in written]
    assert [list(each) for each in alone] == [list(json.loads(line)) for line in written]
    for line, change in zip(written, ended, strict=True):
        receipt = json.loads(line)
        assert receipt["change_id"] == change.change_id
        assert receipt["outreach_id"] == change.outreach_id
        assert receipt["segment"] == change.segment
        assert receipt["field"] == change.field
        assert receipt["value"] == json.loads(change.value)
        assert (receipt["event_time"] is None) == (change.event_time is None)
        assert (receipt["outcome"], receipt["reason"]) == (outcome, reason)
        assert (receipt["http_status"], receipt["user"]) == (404, user)
        assert b"\n" not in line


@given(changes(), st.sampled_from([REJECTED, DEFERRED]))
def test_a_dead_letter_is_replayed_as_the_change_that_it_holds(
    change: Change, outcome: str
) -> None:
    (letter,) = dead_letters(Outcome(outcome, [change], 0, "not_found", "gone", 404, "ops"))

    parsed = parse(Block("dead.jsonl", 0, [dead_letter_line(letter)]), "Oid", (), 0)

    (again,) = parsed.memberships
    assert parsed.dead_letters == []
    assert again.retry
    assert f"{again.arrival_id}-{again.outreach_id}-{change.field}" == change.change_id
    assert (again.segment, again.namespace) == (change.segment, change.namespace)
    assert (again.status, again.event_time) == (change.origin, change.event_time)


def test_only_what_was_refused_or_deferred_is_a_dead_letter() -> None:
    change = Change("a-1-custom1", 1, "ops", "custom1", '"x"', "s", None, "realized", 0, 0)

    for outcome in (DELIVERED, UNCHANGED, SUPERSEDED):
        assert list(dead_letters(Outcome(outcome, [change], 0))) == []
