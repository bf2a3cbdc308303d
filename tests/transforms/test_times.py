"""Instants: every spelling of the contract, and the way back."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.times import format_time, parse_time

SECOND = 1_000_000
INSTANT = 1_767_323_045 * SECOND  # 2026-01-02T03:04:05Z


@pytest.mark.parametrize(
    ("spelling", "micros"),
    [
        ("2026-01-02T03:04:05Z", INSTANT),
        ("2026-01-02T03:04:05z", INSTANT),
        ("2026-01-02t03:04:05z", INSTANT),
        ("2026-01-02 03:04:05Z", INSTANT),
        ("2026-01-02T03:04:05+00:00", INSTANT),
        ("2026-01-02T03:04:05-00:00", INSTANT),
        ("2026-01-02T03:04:05+0000", INSTANT),
        ("2026-01-02T08:34:05+05:30", INSTANT),
        ("2026-01-02T08:34:05+0530", INSTANT),
        ("2026-01-01T22:04:05-05:00", INSTANT),
        ("2026-01-02T03:04:05", INSTANT),
        ("2026-01-02T03:04:05.1Z", INSTANT + 100_000),
        ("2026-01-02T03:04:05.123Z", INSTANT + 123_000),
        ("2026-01-02T03:04:05.123456Z", INSTANT + 123_456),
        ("2026-01-02T03:04:05.1234567Z", INSTANT + 123_456),
        ("2026-01-02T03:04:05.123456999+00:00", INSTANT + 123_456),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
        ("2016-12-31t23:59:60.5z", 1_483_228_800 * SECOND + 500_000),
        (1_767_323_045, INSTANT),
        (1_767_323_045_123, INSTANT + 123_000),
        (1_767_323_045_123_456, INSTANT + 123_456),
        (1_767_323_045.5, INSTANT + 500_000),
        (1_767_323_045.123456, INSTANT + 123_456),
        (546_607_010.995513, 546_607_010_995_513),
        (1_767_323_045_123.0, INSTANT + 123_000),
        ("1767323045", INSTANT),
        ("1767323045.123456789", INSTANT + 123_456),
        ("1767323045123", INSTANT + 123_000),
        ("1767323045123.5", INSTANT + 123_500),
        ("1767323045123456", INSTANT + 123_456),
        (0, 0),
        ("0", 0),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_each_spelling_of_an_instant_is_read(spelling: object, micros: int) -> None:
    assert parse_time(spelling) == micros


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "z",
            "yesterday",
            "nan",
            "1e99",
            "1e-9",
            "1_000",
            "-1",
            "+1",
            "1.",
            "9" * 17,
            "9" * 5000,
        ),
        *("2026-01-02", "20260102T030405Z", "2026-W01-1T03:04:05Z", "2026-01-02x03:04:05Z"),
        *("2026-13-01T00:00:00Z", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+00:00Z"),
        *("1969-12-31T23:59:59Z", "2286-11-20T17:46:40Z", "9999-12-31T23:59:59Z"),
        *("0001-01-01T00:00:00+23:00", "١٧٦٧٣٢٣٠٤٥", "²", "2026-01-02T03:04:61Z"),
        *(True, False, None, -1, 10**16, 10**400, -0.5, 1e17),
        *(float("nan"), float("inf"), float("-inf"), b"2026-01-02T03:04:05Z", [], {}, [[[]]]),
    ],
)
def test_anything_else_is_refused_with_what_mends_it(value: object) -> None:
    with pytest.raises(ValueError, match="write RFC 3339"):
        parse_time(value)


def test_refusing_a_deeply_nested_value_does_not_exhaust_the_stack() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match=r"^a list is not a time"):
        parse_time(value)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (INSTANT, "2026-01-02T03:04:05Z"),
        (INSTANT + 120_000, "2026-01-02T03:04:05.120Z"),
        (INSTANT + 1, "2026-01-02T03:04:05.000001Z"),
        (INSTANT + 100_001, "2026-01-02T03:04:05.100001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (-62_135_596_800 * SECOND, "0001-01-01T00:00:00Z"),
    ],
)
def test_an_instant_is_written_with_no_more_decimals_than_it_has(micros: int, text: str) -> None:
    assert format_time(micros) == text


@given(st.integers(0, 10**16 - 1))
def test_what_is_written_reads_back_as_the_same_instant(micros: int) -> None:
    assert parse_time(format_time(micros)) == micros


@given(
    st.datetimes(
        min_value=dt.datetime(1970, 1, 2),  # noqa: DTZ001 - the zone is drawn beside it
        max_value=dt.datetime(2286, 1, 1),  # noqa: DTZ001
        timezones=st.integers(-23 * 60, 23 * 60).map(
            lambda m: dt.timezone(dt.timedelta(minutes=m))
        ),
    )
)
def test_an_instant_is_the_same_in_every_zone(instant: dt.datetime) -> None:
    utc = instant.astimezone(dt.UTC)
    assert parse_time(instant.isoformat()) == parse_time(utc.isoformat())
    assert format_time(parse_time(instant.isoformat()))[:19] == utc.isoformat()[:19]


@given(st.text())
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_time(text) < 10**16
