"""An envelope is taken off, and a source says where its ids are."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from tests.transforms.formats.platforms import read, reasons, times, told, track

FLAT = {"outreach_id": 1, "segment": "vip", "status": "realized"}


def packed(record: object) -> str:
    return b64encode(json.dumps(record).encode()).decode()


@pytest.mark.parametrize(
    ("envelope", "published"),
    [
        (
            {
                "message": {
                    "data": packed(FLAT),
                    "messageId": "1",
                    "publishTime": "2026-01-02T03:04:05Z",
                },
                "subscription": "projects/p/subscriptions/s",
            },
            "2026-01-02T03:04:05Z",
        ),
        (
            {
                "specversion": "1.0",
                "type": "t",
                "source": "s",
                "id": "1",
                "time": "2026-01-02T03:04:05Z",
                "data": FLAT,
            },
            "2026-01-02T03:04:05Z",
        ),
        (
            {
                "specversion": "1.0",
                "type": "t",
                "source": "s",
                "id": "1",
                "data_base64": packed(FLAT),
            },
            "2026-01-02T03:04:10Z",
        ),
        (
            {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": packed(FLAT)}}]},
            "2026-01-02T03:04:10Z",
        ),
        ({"requestId": "r", "records": [{"data": packed([FLAT])}]}, "2026-01-02T03:04:10Z"),
        ({"body": FLAT, "enqueuedTimeUtc": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05Z"),
        ({"Body": packed(FLAT), "SequenceNumber": 4, "Offset": "0"}, "2026-01-02T03:04:10Z"),
        ({"Body": json.dumps(FLAT), "SequenceNumber": 4}, "2026-01-02T03:04:10Z"),
    ],
)
def test_an_envelope_is_taken_off_and_its_time_is_that_of_a_record_without_one(
    envelope: object, published: str
) -> None:
    parsed = read(envelope)
    assert (told(parsed), parsed.records, parsed.dead_letters) == ([(1, "vip", "realized")], 1, [])
    assert times(parsed) == {published}


def test_an_envelope_of_something_else_is_a_dead_letter() -> None:
    letters = [
        read({"message": {"data": "%%%", "messageId": "1"}}),
        read({"specversion": "1.0", "source": "s", "id": "1", "data_base64": 7}),
        read({"kinesis": {"data": packed("no record")}}),
    ]
    assert [reasons(each) for each in letters] == [["unknown_shape"]] * 3


def test_a_source_says_where_its_ids_are() -> None:
    record = {"person": {"crmId": "12"}, "segment": "vip", "status": "exited"}
    assert told(read(record, "/changes/crm message m")) == [(12, "vip", "exited")]
    assert told(read(track(userId=13), "/changes/crm")) == [(13, "vip", "realized")]
    assert reasons(read(track(userId=None), "/changes/crm")) == ["identity_missing"]


def test_a_list_counts_its_elements_and_each_line_is_one() -> None:
    lines = b"\n".join(json.dumps({**FLAT, "outreach_id": each}).encode() for each in (1, 2, 3))
    table = b"outreach_id,segment,status\n1,vip,realized\n2,vip,exited\n"
    assert [
        read(each).records for each in ([FLAT, FLAT], {"profiles": [FLAT] * 3}, lines, table)
    ] == [*(2, 3, 3, 2)]
