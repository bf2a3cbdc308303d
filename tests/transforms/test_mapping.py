"""Mapping: what goes to which field, and by whose requests."""

from __future__ import annotations

from collections import Counter

import pytest

from transforms.elements import AttributeChange, MembershipChange
from transforms.mapping import Attribute, Audience, Mapping, OutreachUser, Plan

VALUES = (("realized", '"in"'), ("existing", '"in"'), ("exited", "null"))


def plan(
    *audiences: Audience,
    attributes: tuple[Attribute, ...] = (),
    users: tuple[OutreachUser, ...] = (OutreachUser("ops", 1),),
) -> Plan:
    return Plan("Oid", audiences, attributes, users)


def audience(segment: str, field: str, namespace: str | None = None) -> Audience:
    return Audience(segment, namespace, segment, field, VALUES)


def membership(segment: str, status: str = "realized", namespace: str | None = "ups") -> object:
    return MembershipChange("a1b2", 7, namespace, segment, status, 5, 9)


def test_a_status_becomes_the_value_that_the_destination_names_for_it() -> None:
    mapped = Mapping(plan(audience("s", "custom4"))).map(
        [membership("s", "realized"), membership("s", "exited")]
    )

    assert [(one.field, one.value) for one in mapped.changes] == [
        ("custom4", '"in"'),
        ("custom4", "null"),
    ]
    assert mapped.changes[0].change_id == "a1b2-7-custom4"
    assert mapped.changes[0].segment == "s"
    assert mapped.changes[0].user == "ops"


def test_a_segment_without_an_audience_is_counted_and_otherwise_ignored() -> None:
    mapped = Mapping(plan(audience("s", "custom4"))).map([membership("other")])

    assert mapped == ([], [], 1, {"other": 1})


UUID = "5114d758-ce71-43ba-b53e-e2a91d67b67f"


def test_a_uuid_is_the_same_in_any_capitals_and_goes_on_as_the_destination_spells_it() -> None:
    mapping = Mapping(plan(audience(UUID.upper(), "custom1"), audience("Vip", "custom2")))

    mapped = mapping.map([membership(UUID), membership("vip"), membership(UUID.title())])

    assert [one.segment for one in mapped.changes] == [UUID.upper()] * 2
    assert mapped.segments == {"vip": 1}
    with pytest.raises(ValueError, match="mapped twice"):
        plan(audience(UUID, "custom1"), audience(UUID.upper(), "custom2"))


@pytest.mark.parametrize(
    ("segment", "meant"),
    [
        ("VIP", "vip"),
        (" vip ", "vip"),
        ("ups:vip", "vip"),
        ("segment/ups/VIP", "vip"),
        ("guests", "aep.guests"),
        ("other", "other"),
        ("supervip", None),
        ("vip2", None),
        ("", None),
    ],
)
def test_an_unmapped_segment_resembles_one_that_differs_in_capitals_blanks_or_a_prefix(
    segment: str, meant: str | None
) -> None:
    mapping = Mapping(
        plan(
            audience("vip", "custom1"),
            audience("aep.guests", "custom2"),
            audience("other", "custom3", "crm"),
        )
    )

    found = mapping.look_alike(segment)

    assert (found and found.segment) == meant


@pytest.mark.parametrize(
    ("namespace", "field"),
    [("ups", "custom1"), ("crm", "custom2"), ("else", None), (None, None)],
)
def test_a_namespace_tells_audiences_of_one_id_apart(
    namespace: str | None, field: str | None
) -> None:
    mapping = Mapping(plan(audience("s", "custom1", "ups"), audience("s", "custom2", "crm")))

    mapped = mapping.map([membership("s", namespace=namespace)])

    assert [one.field for one in mapped.changes] == ([field] if field else [])


def test_a_record_without_a_namespace_finds_the_only_audience_of_its_segment() -> None:
    mapping = Mapping(plan(audience("s", "custom1", "ups")))

    assert len(mapping.map([membership("s", namespace=None)]).changes) == 1


def test_an_attribute_cannot_pass_for_what_a_receipt_says() -> None:
    with pytest.raises(ValueError, match="which is for what receipts say"):
        plan(attributes=(Attribute("receipt:custom4", "title"),))


def test_an_attribute_that_does_not_fit_its_field_is_a_misfit_and_not_a_change() -> None:
    mapping = Mapping(plan(attributes=(Attribute("name", "firstName"),)))

    mapped = mapping.map(
        [],
        [
            AttributeChange("a", 7, "name", '"Ann"', 5, 1),
            AttributeChange("b", 7, "name", '"' + "x" * 256 + '"', 5, 2),
        ],
    )

    assert [one.value for one in mapped.changes] == ['"Ann"']
    assert [one.change.change_id for one in mapped.misfits] == ["b-7-firstName"]
    assert "255" in mapped.misfits[0].detail


def test_prospects_are_shared_among_users_by_their_budgets() -> None:
    mapping = Mapping(plan(users=(OutreachUser("a", 3), OutreachUser("b", 1))))

    shares = Counter(mapping.user_of(prospect) for prospect in range(1, 20_001))

    assert 0.73 < shares["a"] / 20_000 < 0.77


def test_another_user_takes_prospects_over_and_moves_none_between_the_others() -> None:
    two = Mapping(plan(users=(OutreachUser("a", 1), OutreachUser("b", 1))))
    three = Mapping(plan(users=(OutreachUser("a", 1), OutreachUser("b", 1), OutreachUser("c", 1))))

    moved = {
        (two.user_of(prospect), three.user_of(prospect))
        for prospect in range(1, 2_001)
        if two.user_of(prospect) != three.user_of(prospect)
    }

    assert moved == {("a", "c"), ("b", "c")}
