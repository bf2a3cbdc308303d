"""What waits is mapped anew where the destination was changed between two runs."""

from __future__ import annotations

import logging
import sqlite3

import pytest

from pipeline.ledger import guard, remap, waiting
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import transaction
from tests.support.in_process.ledgers import NOW, become_members, deliver
from transforms.elements import AttributeChange, MembershipChange
from transforms.mapping import Attribute, Audience, Mapping, OutreachUser, Plan

USERS = (OutreachUser("ops", 1),)


def plan(*audiences: Audience, attributes: tuple[Attribute, ...] = ()) -> Plan:
    return Plan("Oid", audiences, attributes, USERS)


BEFORE = plan(Audience.of("seg-a", 17), Audience.of("seg-b", 18))


def wait(
    ledger: sqlite3.Connection,
    before: Plan,
    *memberships: MembershipChange,
    attributes: tuple[AttributeChange, ...] = (),
) -> None:
    """Changes arrive and wait as the destination of then maps them."""
    mapped = Mapping(before).map(memberships, attributes)
    with transaction(ledger):
        guard.name_audiences(ledger, before.audiences)
        waiting.take_in(ledger, waiting.Intake(mapped.changes, [], LIVE), NOW, 0)


def joins(prospect: int, segment: str, time: int = NOW) -> MembershipChange:
    return MembershipChange(
        f"line{prospect}{segment}", prospect, None, segment, "realized", time, prospect
    )


def waits(ledger: sqlite3.Connection) -> list[tuple[int, str, str, str]]:
    return ledger.execute(
        "SELECT outreach_id, field, value, change_id FROM waiting ORDER BY 1, 2"
    ).fetchall()


def outcomes(ledger: sqlite3.Connection) -> list[tuple[int, str, str, str | None]]:
    return ledger.execute(
        "SELECT outreach_id, field, outcome, reason FROM receipts ORDER BY 1, 2"
    ).fetchall()


def test_a_change_waits_for_the_field_that_its_audience_has_now(
    ledger: sqlite3.Connection,
) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"), joins(1, "seg-b"), joins(2, "seg-b"))

    # The two audiences have changed places.
    after = Mapping(plan(Audience.of("seg-a", 18), Audience.of("seg-b", 17)))
    assert remap.remap(ledger, after, NOW) == remap.Remapped(3, 0, 0)

    assert waits(ledger) == [
        (1, "custom17", '"realized"', "line1seg-b-1-custom17"),
        (1, "custom18", '"realized"', "line1seg-a-1-custom18"),
        (2, "custom17", '"realized"', "line2seg-b-2-custom17"),
    ]
    assert outcomes(ledger) == []


def test_a_change_of_an_audience_that_was_removed_ends_as_superseded(
    ledger: sqlite3.Connection,
) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"), joins(1, "seg-b"), joins(2, "seg-b"))

    after = Mapping(plan(Audience.of("seg-a", 17)))
    assert remap.remap(ledger, after, NOW) == remap.Remapped(0, 2, 0)

    assert [row[:2] for row in waits(ledger)] == [(1, "custom17")]
    assert outcomes(ledger) == [
        (1, "custom18", "superseded", "unmapped"),
        (2, "custom18", "superseded", "unmapped"),
    ]
    # Whoever waits for nothing any more has no turn either.
    assert ledger.execute("SELECT outreach_id FROM queue").fetchall() == [(1,)]


def test_a_change_waits_with_the_value_that_is_written_now(ledger: sqlite3.Connection) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"))

    after = Mapping(plan(Audience.of("seg-a", 17, {"realized": "Member"})))
    remap.remap(ledger, after, NOW)

    assert waits(ledger) == [(1, "custom17", '"Member"', "line1seg-a-1-custom17")]


def test_an_attribute_follows_its_source_and_is_rejected_where_it_does_not_fit(
    ledger: sqlite3.Connection,
) -> None:
    before = plan(attributes=(Attribute("job", "title"),))
    jobs = [
        AttributeChange("one", 1, "job", '"VP"', NOW, 1),
        AttributeChange("two", 2, "job", '"7"', NOW, 2),
    ]
    wait(ledger, before, attributes=tuple(jobs))

    after = Mapping(plan(attributes=(Attribute("job", "score"),)))
    assert remap.remap(ledger, after, NOW) == remap.Remapped(1, 0, 1)

    assert waits(ledger) == [(2, "score", "7", "two-2-score")]
    assert outcomes(ledger) == [(1, "score", "rejected", "value_invalid")]


def test_what_arrived_is_as_old_as_before_and_in_its_lane(ledger: sqlite3.Connection) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"))

    remap.remap(ledger, Mapping(plan(Audience.of("seg-a", 20))), NOW + 60_000_000)

    assert ledger.execute("SELECT received_at FROM waiting").fetchall() == [(NOW,)]
    assert ledger.execute("SELECT lane, since FROM queue").fetchall() == [(LIVE, NOW)]


def test_the_same_mapping_leaves_everything_as_it_is(ledger: sqlite3.Connection) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"), joins(2, "seg-b"))
    before = waits(ledger)

    assert remap.remap(ledger, Mapping(BEFORE), NOW) == remap.Remapped(0, 0, 0)

    assert waits(ledger) == before


def test_fields_that_hold_an_earlier_mapping_are_named_with_what_empties_them(
    ledger: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    wait(ledger, BEFORE, joins(1, "seg-a"), joins(2, "seg-a"), joins(3, "seg-b"))
    deliver(ledger)
    after = plan(Audience.of("seg-a", 20))

    left = remap.leftovers(ledger, after.audiences)
    with caplog.at_level(logging.WARNING):
        remap.tell(remap.Remapped(0, 0, 0), left)

    assert [(each.field, each.prospects, each.moved_to) for each in left] == [
        ("custom17", 2, "custom20"),
        ("custom18", 1, None),
    ]
    assert "custom17 still holds in 2 prospects" in caplog.text
    assert "clear custom17" in caplog.text


def test_who_was_a_member_in_a_field_of_before_does_not_keep_the_guard_from_holding(
    ledger: sqlite3.Connection,
) -> None:
    become_members(ledger, range(1, 41))
    moved = Audience.of("seg-a", 30)
    with transaction(ledger):
        guard.name_audiences(ledger, [moved])
    after = plan(moved)
    wait(ledger, after, *(joins(each, "seg-a", NOW + 10**9) for each in range(1, 13)))
    deliver(ledger)

    leave = [
        joins(each, "seg-a", NOW + 2 * 10**9)._replace(status="exited") for each in range(1, 9)
    ]
    changes = Mapping(after).map(leave).changes
    with transaction(ledger):
        waiting.take_in(ledger, waiting.Intake(changes, [], LIVE), NOW, 0)
        guard.watch_exits(ledger, changes, guard.GuardTerms(), NOW)

    # 8 of 12, whatever custom4 says of 40 others.
    assert [(each.members, each.exits) for each in guard.holds(ledger)] == [(12, 8)]
