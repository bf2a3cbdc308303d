"""Spellings that exporters write, and that have one meaning only."""

from __future__ import annotations

import pytest

from transforms.formats.validation import read_outreach_id, read_status
from transforms.times import format_time, parse_time


@pytest.mark.parametrize("spelled", ["1042", "1042.0", " 1042 ", "1042.00\t", 1042, 1042.0])
def test_an_outreach_id_is_read_as_spreadsheets_write_it(spelled: object) -> None:
    assert read_outreach_id(spelled) == 1042


@pytest.mark.parametrize("spelled", ["realized", "Realized", "REALIZED", "realized ", "\trealized"])
def test_a_status_is_read_in_any_capitals(spelled: str) -> None:
    assert read_status(spelled) == "realized"


@pytest.mark.parametrize(
    ("spelled", "instant"),
    [
        ("2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05.678901 UTC", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02 03:04:05.000 Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02 05:04:05.000 +0200", "2026-01-02T03:04:05Z"),
        ("1.767323045E9", "2026-01-02T03:04:05Z"),
        ("1.767323045678E9", "2026-01-02T03:04:05.678Z"),
    ],
)
def test_a_time_is_read_as_warehouses_write_it(spelled: str, instant: str) -> None:
    assert format_time(parse_time(spelled)) == instant
