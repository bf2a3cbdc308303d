"""Rows of a text with a header: delimiters, quotes, and rows that are refused alone."""

from __future__ import annotations

import orjson
import pytest

from tests.transforms.formats.reading import T1, attributes, memberships, read, refusal

HEADER = b"outreach_id,segment,status,event_time,namespace,attributes.firstName,city\n"


def test_a_text_with_a_header_is_read_as_rows() -> None:
    rows = HEADER + b'1,s,realized,2026-01-02T03:04:05Z,ups,Ann,"Bath, UK"\r\n\n2,t,exited'
    parsed = read(rows, sources=["firstName", "city"])
    assert memberships(parsed) == [
        (1, "ups", "s", "realized", T1),
        (2, None, "t", "exited", None),
    ]
    assert attributes(parsed) == [
        (1, "firstName", '"Ann"', T1),
        (1, "city", '"Bath, UK"', T1),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_told_by_the_header_whose_columns_stand_in_any_order(
    delimiter: str,
) -> None:
    lines = ["Status,Outreach_ID,segment", "exited, 7 ,s", "realized,8,t"]
    text = "\n".join(lines).replace(",", delimiter).encode()
    assert [change.outreach_id for change in read(text).memberships] == [7, 8]


def test_a_quoted_cell_may_hold_line_ends_delimiters_and_quotes() -> None:
    parsed = read(HEADER + b'1,,,,,"a\nb,""c""",', sources=["firstName"])
    assert attributes(parsed) == [(1, "firstName", '"a\\nb,\\"c\\""', None)]


def test_a_row_without_a_filled_cell_is_blank() -> None:
    assert read(HEADER + b",,,,,,\n\n")[:4] == ([], [], [], 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,s,realized,,,,,more", "not_csv"),
        (b'1,s,"realized', "not_csv"),
        (b'1,"s"x,realized', "not_csv"),
        (b"1,\xff,realized", "not_csv"),
        (b",s,realized", "identity_missing"),
        (b"x,s,realized", "identity_invalid"),
        (b"1,s,left", "status_unknown"),
        (b"1,s,exited,soon", "time_invalid"),
    ],
)
def test_a_bad_row_is_refused_with_its_header_and_alone(row: bytes, reason: str) -> None:
    parsed = read(HEADER + row + b"\n2,t,exited")
    letter = refusal(parsed)
    assert letter.reason == reason
    held = orjson.loads(letter.payload)
    assert held == (HEADER + row).decode() if isinstance(held, str) else held["base64"]
    assert [change.outreach_id for change in parsed.memberships] == [2]
