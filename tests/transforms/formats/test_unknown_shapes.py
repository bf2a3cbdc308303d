"""A record of no known shape is refused with the shapes there are."""

from __future__ import annotations

import pytest

from tests.transforms.formats.reading import flat, read, refusal


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 5, "text", {}, {"a": 1}, [None], [[]], [[flat()]], {"profiles": 5}),
        {"in_cohort": True, "users": [{"user_id": "a"}]},
        {"stage": "parse", "reason": "x"},
        {"stage": ["parse"], "reason": "x", "payload": ""},
    ],
)
def test_any_other_shape_is_refused_with_the_shapes_that_are_known(value: object) -> None:
    letter = refusal(read(value))
    assert letter.reason == "unknown_shape"
    for known in ("outreach_id", "segmentMembership", "profiles"):
        assert known in letter.detail


def test_the_keys_of_an_unknown_shape_are_named_but_not_what_they_hold() -> None:
    letter = refusal(read({"userId": "s3cret", **{f"k{n}": n for n in range(20)}}))
    assert "'userId', 'k0'" in letter.detail
    assert "13 more" in letter.detail
    assert "s3cret" not in letter.detail


def test_an_empty_list_is_a_valid_record_of_nothing() -> None:
    assert read([])[:4] == read({"profiles": []})[:4] == ([], [], [], 1)
