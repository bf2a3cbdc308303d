"""Spellings that exporters write, and that have one meaning only."""

from __future__ import annotations

import json

import pytest

from transforms.elements import Block
from transforms.formats.validation import read_outreach_id, read_status
from transforms.formats.values import split_values
from transforms.stages.parse import Parsed, parse
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


def read(*lines: str) -> Parsed:
    block = Block("a.jsonl", 0, [line.encode() for line in lines])
    return parse(block, "Oid", ["score", "title"], 0)


def told(prospect: int, **more: object) -> str:
    return json.dumps({"outreach_id": prospect, "segment": "s", "status": "realized", **more})


def test_values_after_one_another_are_all_read() -> None:
    parsed = read(told(1) + told(2) + "  " + told(3), told(4))

    assert [each.outreach_id for each in parsed.memberships] == [1, 2, 3, 4]
    assert len({each.arrival_id for each in parsed.memberships}) == 4
    assert [each.sequence for each in parsed.memberships] == sorted(
        each.sequence for each in parsed.memberships
    )
    assert parsed.dead_letters == []


def test_what_is_broken_among_values_costs_only_itself() -> None:
    text = "\n".join(json.dumps(json.loads(told(each)), indent=2) for each in (1, 2, 3))
    parsed = read(text.replace('"outreach_id": 2', '"outreach_id": 2 2'))

    assert [each.outreach_id for each in parsed.memberships] == [1, 3]
    assert [each.reason for each in parsed.dead_letters] == ["not_json"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{} x", "{}}", "1 2", "{", "\udcff"])
def test_one_value_or_none_is_not_several(text: str) -> None:
    assert list(split_values(text.encode(errors="surrogatepass"))) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_no_number_costs_only_the_field_that_it_is_meant_for(number: str) -> None:
    line = told(1, attributes={"score": 0, "other": 0, "title": "VP"})
    unmapped = read(line.replace('"other": 0', f'"other": {number}'))
    mapped = read(line.replace('"score": 0', f'"score": {number}'))

    assert [each.source for each in unmapped.attributes] == ["score", "title"]
    assert unmapped.dead_letters == []
    assert [each.source for each in mapped.attributes] == ["title"]
    assert [each.reason for each in mapped.dead_letters] == ["value_invalid"]
    assert len(mapped.memberships) == 1
