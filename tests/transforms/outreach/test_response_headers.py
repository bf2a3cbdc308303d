"""What an answer's headers say of the budget, and of when to come back."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from tests.transforms.outreach.answers import HEADERS, NOW, TOO_MANY
from transforms.budget.rate_limits import RateLimits
from transforms.outreach.responses import read_limits, read_retry_at


def test_the_three_headers_are_read_and_of_two_values_the_first() -> None:
    assert read_limits(HEADERS) == RateLimits(10_000, 9999, NOW + 3600)


@pytest.mark.parametrize(
    "headers",
    [
        {name.lower(): value for name, value in HEADERS.items()},
        {name.upper(): value for name, value in HEADERS.items()},
        CIMultiDictProxy(CIMultiDict({name.lower(): value for name, value in HEADERS.items()})),
    ],
)
def test_headers_are_read_in_any_case(headers: Mapping[str, str]) -> None:
    assert read_limits(headers) == RateLimits(10_000, 9999, NOW + 3600)


@pytest.mark.parametrize(
    "value", ["", " ", "many", "-1", "nan", "inf", "1e999", ",5", "9" * 5000 + "x"]
)
def test_headers_that_make_no_sense_are_as_good_as_absent(value: str) -> None:
    assert read_limits(dict.fromkeys(HEADERS, value)) == RateLimits()


def test_a_reset_in_milliseconds_is_an_epoch_and_a_small_one_is_not() -> None:
    assert read_limits({"X-RateLimit-Reset": "1767229200000"}).reset == NOW + 3600
    assert read_limits({"X-RateLimit-Reset": "3600"}).reset is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("1767229200", 3600),
        ("1767229200000", 3600),
        ("2026-01-01T01:00:00Z", 3600),
        ("2026-01-01T01:00:00", 3600),
        ("2026-01-01T02:00:00+01:00", 3600),
        ("2026-01-01 01:00:00", 3600),
        ("Thu, 01 Jan 2026 01:00:00 GMT", 3600),
        ("2025-12-31T23:00:00Z", -3600),
    ],
)
def test_retry_after_is_read_in_all_its_spellings(value: str, seconds: float) -> None:
    assert read_retry_at({"retry-after": value}, b"", NOW) == NOW + seconds


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "nan", "Thu, 99 Jan 2026", "Thu, 01 Jan 99999 01:00:00 GMT"]
)
def test_a_retry_after_without_sense_leaves_the_next_source(value: str) -> None:
    assert read_retry_at({"Retry-After": value}, b"", NOW) is None
    assert read_retry_at({"Retry-After": value, **HEADERS}, b"", NOW) == NOW + 3600
    assert read_retry_at({"Retry-After": value}, TOO_MANY, NOW) == NOW + 1800


def test_an_instant_that_has_passed_yields_to_one_that_has_not() -> None:
    past = {"Retry-After": "2017-01-01T00:00:00"}
    assert read_retry_at({**past, **HEADERS}, b"", NOW) == NOW + 3600
    assert read_retry_at(past, b"", NOW) is not None
