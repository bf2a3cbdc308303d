import json
import math
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.outreach.fields import PROSPECT_FIELDS, Field, fit

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_a_prospect_has_150_custom_fields_of_32000_characters() -> None:
    custom = [field for name, field in PROSPECT_FIELDS.items() if name.startswith("custom")]
    assert custom == [Field(f"custom{n}", "string", True, 32_000) for n in range(1, 151)]


def test_fields_that_outreach_computes_are_not_writable() -> None:
    for name in ("name", "createdAt", "updatedAt", "engagedScore", "openCount", "timeZoneIana"):
        assert not PROSPECT_FIELDS[name].writable, name
    for name in ("firstName", "tags", "score", "dateOfBirth", "optedOut", "company", "emails"):
        assert PROSPECT_FIELDS[name].writable, name


def test_each_field_is_found_by_its_own_name_and_there_are_230() -> None:
    assert all(name == field.name for name, field in PROSPECT_FIELDS.items())
    assert len(PROSPECT_FIELDS) == 230


@pytest.mark.parametrize(
    ("name", "value", "fitted"),
    [
        ("custom4", "realized", "realized"),
        ("custom4", "", ""),
        ("custom4", True, "true"),
        ("custom4", 7, "7"),
        ("custom4", 0.1, "0.1"),
        ("optedOut", False, False),
        ("optedOut", "True", True),
        ("linkedInConnections", 500, 500),
        ("linkedInConnections", "500", 500),
        ("linkedInConnections", "-1", -1),
        ("linkedInConnections", 500.0, 500),
        ("score", 1.5, 1.5),
        ("score", 3, 3),
        ("score", "-2.5e3", -2500.0),
        ("score", "12", 12),
        ("dateOfBirth", "1980-02-29", "1980-02-29"),
        ("dateOfBirth", "1980-02-29T00:00:00Z", "1980-02-29"),
        ("dateOfBirth", "1980-02-29T00:00:00.000+0000", "1980-02-29"),
        ("addedAt", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("addedAt", "2026-01-02T03:04:05.678+0100", "2026-01-02T03:04:05.678+0100"),
        ("tags", "vip", ["vip"]),
        ("tags", ["vip", 7, False], ["vip", "7", "false"]),
        ("tags", [], []),
        ("contactHistogram", [[1, 2]], [[1, 2]]),
    ],
)
def test_a_value_is_fitted_when_that_loses_nothing(
    name: str, value: object, fitted: object
) -> None:
    result = fit(PROSPECT_FIELDS[name], value)
    assert result == fitted
    assert type(result) is type(fitted)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("custom4", {"a": 1}, 'custom4 takes text, not {"a": 1}'),
        ("custom4", ["realized"], "custom4 takes text"),
        ("custom4", math.nan, "custom4 takes text"),
        ("custom4", "x" * 32_001, "custom4 takes at most 32,000 characters, not 32,001"),
        ("firstName", "x" * 256, "at most 255"),
        ("optedOut", 1, "optedOut takes true or false, not 1"),
        ("optedOut", "yes", 'not "yes"'),
        ("linkedInConnections", True, "takes a whole number, not true"),
        ("linkedInConnections", 1.5, "not 1.5"),
        ("linkedInConnections", "1.5", 'not "1.5"'),
        ("linkedInConnections", "٣", "takes a whole number"),
        ("linkedInConnections", 2**63, "takes a whole number"),
        ("linkedInConnections", 1e300, "takes a whole number"),
        ("score", "", 'takes a number, not ""'),
        ("score", "1e999", "takes a number"),
        ("score", math.inf, "takes a number"),
        ("score", False, "takes a number, not false"),
        ("dateOfBirth", "31.01.1980", 'takes a date such as 2026-01-31, not "31.01.1980"'),
        ("dateOfBirth", "1981-02-29", "takes a date"),
        ("dateOfBirth", "19800229", "takes a date"),
        ("dateOfBirth", "1980-02-29T01:00:00Z", "takes a date"),
        ("dateOfBirth", "1980-02-29T00:00:00+02:00", "takes a date"),
        ("dateOfBirth", "1981-02-29T00:00:00Z", "takes a date"),
        ("dateOfBirth", 19800229, "takes a date"),
        ("addedAt", "2026-01-02", "takes a date and time with its zone"),
        ("addedAt", "2026-01-02T03:04:05", "takes a date and time with its zone"),
        ("addedAt", "2026-13-02T03:04:05Z", "takes a date and time"),
        ("addedAt", 1767322800, "takes a date and time"),
        ("tags", [["vip"]], "tags takes text"),
        ("tags", [None], "tags takes text, not null"),
        ("tags", {"vip": True}, "tags takes text"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_field_and_value(
    name: str, value: object, said: str
) -> None:
    with pytest.raises(ValueError, match="takes") as refused:
        fit(PROSPECT_FIELDS[name], value)
    assert said in str(refused.value)


def test_a_refusal_shows_no_more_than_the_start_of_a_long_value() -> None:
    with pytest.raises(ValueError, match="…") as refused:
        fit(PROSPECT_FIELDS["score"], "x" * 10_000)
    assert len(str(refused.value)) < 200


def test_null_clears_every_field() -> None:
    assert all(fit(field, None) is None for field in PROSPECT_FIELDS.values())


@settings(derandomize=True)
@given(st.sampled_from(sorted(PROSPECT_FIELDS)), json_values)
def test_any_json_value_is_fitted_once_and_for_all_or_refused(name: str, value: object) -> None:
    field = PROSPECT_FIELDS[name]
    try:
        fitted = fit(field, value)
    except ValueError as refused:
        assert str(refused).startswith(name)  # noqa: PT017 - most random values are refused
        return
    assert fit(field, fitted) == fitted
    json.dumps(fitted, allow_nan=field.kind == "array")


@settings(derandomize=True)
@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_put_into_a_text_field_can_be_read_back(number: float) -> None:
    text = fit(PROSPECT_FIELDS["custom1"], number)
    assert isinstance(text, str)
    assert json.loads(text) == number


@settings(derandomize=True)
@given(st.dates())
def test_every_date_fits_a_date_field(day: date) -> None:
    assert fit(PROSPECT_FIELDS["dateOfBirth"], day.isoformat()) == day.isoformat()
