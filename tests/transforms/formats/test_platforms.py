"""Each platform's shape is read as what it means: who, which audience, in or out, and when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.data.strange_records import KEYS, VALUES
from tests.transforms.formats.platforms import personas, read, reasons, times, told, track


def test_segment_says_who_entered_and_who_left() -> None:
    assert told(read(track())) == [(7, "vip", "realized")]
    assert told(read(track("Audience Exited"))) == [(7, "vip", "exited")]
    assert times(read(track())) == {"2026-01-02T03:04:05Z"}
    identify = {"type": "identify", "userId": 7, "context": personas(computation_key="vip")}
    assert told(read({**identify, "traits": {"vip": "true", "other": 1}})) == [
        (7, "vip", "realized")
    ]
    assert told(read({**identify, "traits": {"vip": False}})) == [(7, "vip", "exited")]


def test_segment_audiences_go_by_whichever_of_their_names_is_mapped() -> None:
    named = personas(computation_key="k", computation_id="c9")
    assert told(read(track(context=named, properties={"audience_key": "a"}))) == [
        (7, "c9", "realized")
    ]
    none = personas(computation_key="k", computation_id="x")
    assert told(read(track(context=none, properties={}))) == [(7, "k", "realized")]
    only = {"type": "identify", "userId": 7, "context": personas(), "traits": {"vip": True}}
    assert told(read(only)) == [(7, "vip", "realized")]


def test_segment_ids_come_from_a_trait_before_the_user() -> None:
    assert told(read(track(userId="u1", properties={"vip": True, "outreach_id": 9}))) == [
        (9, "vip", "realized")
    ]
    context = {**personas(computation_key="vip"), "traits": {"outreach_id": "8"}}
    assert told(read(track(userId="u1", context=context)))[0][0] == 8


def test_what_is_no_membership_of_segments_counts_and_gives_nothing() -> None:
    step = {"personas": {"computation_class": "journey_step", "computation_key": "vip"}}
    for record in (track(context=step), track("Order Completed", properties={})):
        assert (told(read(record)), reasons(read(record)), read(record).records) == ([], [], 1)


def test_an_event_that_its_trait_contradicts_is_a_dead_letter() -> None:
    parsed = read(track("Audience Exited", properties={"audience_key": "vip", "vip": "true"}))
    assert (told(parsed), reasons(parsed)) == ([], ["contradictory"])


@pytest.mark.parametrize("kind", ["audiencelist", "audienceList"])
def test_rudderstack_lists_add_and_remove_each_person_once(kind: str) -> None:
    data = {
        "add": [{"outreach_id": 1}, {"outreach_id": "1"}, {"userId": 4}],
        "remove": [{"Oid": 2}],
    }
    parsed = read({"type": kind, "properties": {"listData": data}}, "/changes/rudder")
    assert told(parsed) == [(1, "vip", "realized"), (4, "vip", "realized"), (2, "vip", "exited")]


def test_who_is_in_both_lists_is_a_contradiction_and_costs_nobody_else() -> None:
    data = {"add": [{"outreach_id": 1}, {"outreach_id": 3}], "remove": [{"outreach_id": 1}]}
    parsed = read({"type": "audiencelist", "properties": {"listData": data}}, "/changes/rudder")
    assert (told(parsed), reasons(parsed)) == ([(3, "vip", "realized")], ["contradictory"])


@pytest.mark.parametrize(
    ("action", "status"), [("insert", "realized"), ("update", "existing"), ("delete", "exited")]
)
def test_a_rudderstack_record_is_of_its_sources_audience(action: str, status: str) -> None:
    record = {
        "type": "record",
        "action": action,
        "identifiers": {"outreach_id": 5},
        "fields": {"first_name": "Ann"},
    }
    parsed = read(record, "/changes/rudder")
    assert told(parsed) == [(5, "vip", status)]
    assert [each.value for each in parsed.attributes] == ['"Ann"']
    assert reasons(read(record)) == ["segment_missing"]
    assert reasons(read({**record, "action": "upsert"}, "/changes/rudder")) == ["status_unknown"]


def mparticle(*audiences: object, **more: object) -> dict[str, Any]:
    who = [{"type": "email", "encoding": "md5", "value": "e1"}, {"type": "customer", "value": "6"}]
    profile = {"user_identities": who, "audiences": list(audiences)}
    return {
        "type": "audience_membership_change_request",
        "timestamp_ms": 1_767_323_045_000,
        "user_profiles": [profile],
        **more,
    }


def test_mparticle_adds_and_deletes_in_one_request() -> None:
    parsed = read(
        mparticle(
            {"audience_id": 456, "action": "add"},
            {"audience_id": 9, "audience_name": "vip", "action": "delete"},
            {"audience_id": 1, "action": "attribute_update"},
        )
    )
    assert told(parsed) == [(6, "456", "realized"), (6, "vip", "exited")]
    assert times(parsed) == {"2026-01-02T03:04:05Z"}


def test_mparticles_pings_and_notices_give_nothing_and_contradictions_a_dead_letter() -> None:
    ping = {"type": "audience_membership_change_request", "timestamp_ms": 1}
    for record in (ping, {"type": "audience_subscription_request", "audience_id": 456}):
        assert (told(read(record)), reasons(read(record)), read(record).records) == ([], [], 1)
    both = mparticle(*({"audience_id": 456, "action": each} for each in ("add", "delete")))
    assert (told(read(both)), reasons(read(both))) == ([], ["contradictory"])
    unknown = mparticle({"audience_id": 456, "action": "pause"})
    assert reasons(read(unknown)) == ["status_unknown"]


def test_a_hashed_identity_of_mparticles_is_none() -> None:
    hashed = {"user_identities": [{"type": "customer", "encoding": "sha256", "value": "6"}]}
    parsed = read({**mparticle(), "user_profiles": [hashed]})
    assert reasons(parsed) == ["identity_missing"]


def test_amplitude_cohorts_go_by_the_time_they_were_computed() -> None:
    cohort = {
        "cohort_id": "k7",
        "cohort_name": "vip",
        "in_cohort": True,
        "computed_time": "1767323045",
        "users": [{"user_id": "5"}, {"user_id": "x", "user_properties": {"outreach_id": 6}}],
    }
    assert told(read(cohort)) == [(5, "vip", "realized"), (6, "vip", "realized")]
    assert times(read(cohort)) == {"2026-01-02T03:04:05Z"}
    assert told(read({**cohort, "in_cohort": "false"}))[0] == (5, "vip", "exited")
    assert reasons(read({**cohort, "in_cohort": "maybe"})) == ["status_unknown"]
    bad = read({**cohort, "users": [{"user_id": "a@example.com"}, {}, {"user_id": 5}]})
    assert (told(bad), reasons(bad)) == (
        [(5, "vip", "realized")],
        ["identity_invalid", "identity_missing"],
    )


@pytest.mark.parametrize(
    ("action", "status"),
    [("members", "realized"), ("add_members", "realized"), ("remove_members", "exited")],
)
def test_mixpanels_members_enter_and_leave(action: str, status: str) -> None:
    members = [{"email": "a@example.com", "mixpanel_distinct_id": "3"}]
    parameters = {"mixpanel_cohort_id": "1", "mixpanel_cohort_name": "vip", "members": members}
    assert told(read({"action": action, "parameters": parameters})) == [(3, "vip", status)]
    empty = read({"action": action, "parameters": {**parameters, "members": []}})
    assert (told(empty), reasons(empty)) == ([], [])
    assert reasons(read({"action": "purge", "parameters": parameters})) == ["status_unknown"]


def test_lists_of_audiences_are_read_and_contradictions_cost_only_themselves() -> None:
    parsed = read(
        {
            "outreach_id": 4,
            "add": ["vip", "5c8e"],
            "remove": ["c9", "5c8e"],
            "event_time": "2026-01-02T03:04:05Z",
        }
    )
    assert told(parsed) == [(4, "vip", "realized"), (4, "c9", "exited")]
    assert reasons(parsed) == ["contradictory"]


def test_the_keys_of_xdm_may_have_their_prefix() -> None:
    membership = {"xdm:status": "realized", "xdm:lastQualificationTime": "2026-01-02T03:04:05Z"}
    entity = {
        "xdm:identityMap": {"Oid": [{"xdm:id": "2"}]},
        "xdm:segmentMembership": {"ups": {"vip": membership}},
    }
    for record in (entity, {"header": {}, "body": {"xdmMeta": {}, "xdmEntity": entity}}):
        assert told(read(record)) == [(2, "vip", "realized")]
    plain = {"identityMap": {"Oid": [{"id": 2}]}, "segmentMembership": {}}
    assert read({"body": {"xdmEntity": plain}}).dead_letters == []


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=7))
def test_no_shape_is_too_strange_to_be_read_or_refused(record: dict[str, Any]) -> None:
    parsed = read(record)
    assert parsed.arrivals == 1
