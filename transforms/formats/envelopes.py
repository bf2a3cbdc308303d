"""Envelopes of messages, unwrapped before a record's format is recognized.

- a **Pub/Sub push body**: ``{"message": {"data": base64, "messageId", "publishTime"}}``;
- a **CloudEvent** in structured mode: ``{"specversion", "type", "source", "id", "time", "data"}``;
- a **Kinesis** or **Firehose** record: ``{"kinesis": {"data": base64}}``, ``{"data": base64}``;
- an **Event Hubs** record: ``{"body": …, "enqueuedTimeUtc"}``, also with capitals.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final, NamedTuple

import orjson

from transforms.formats.validation import Refused
from transforms.text import shown
from transforms.times import parse_time


class Unpacked(NamedTuple):
    """What an envelope held.

    Attributes:
      arrival: its content.
      message_id: by which whoever sent it knows it again; None where there is none.
      published: when it was sent, in microseconds since the epoch; None where it is not said.
    """

    arrival: bytes
    message_id: str | None
    published: int | None


_MARKS: Final = frozenset({"message", "kinesis", "specversion", "data", "body", "Body"})

LISTS: Final = ("profiles", "Records", "records", "batch")
"""Keys of lists whose elements are records each."""


def unpack(record: dict[str, Any]) -> Unpacked | None:
    """Returns the contents of an envelope; None if the record is not one.

    Raises:
      Refused: ``unknown_shape``: its content cannot be unpacked.
    """
    if _MARKS.isdisjoint(record):
        return None
    message, kinesis = record.get("message"), record.get("kinesis")
    if type(message) is dict and ("subscription" in record or "messageId" in message):
        name = message.get("messageId") or message.get("message_id")
        time = message.get("publishTime") or message.get("publish_time")
        return Unpacked(_content(message.get("data", "")), _text(name), _time(time))
    if "specversion" in record and "source" in record and "id" in record:
        held = record.get("data_base64")
        content = _content(record.get("data")) if held is None else _packed(held)
        if type(record.get("data")) is str:
            content = record["data"].encode()
        return Unpacked(content, event_id(record), _time(record.get("time")))
    if type(kinesis) is dict and "data" in kinesis:
        name, time = record.get("eventID"), kinesis.get("approximateArrivalTimestamp")
        return Unpacked(_content(kinesis["data"]), _text(name), _time(time))
    if record.keys() <= {"data", "recordId", "approximateArrivalTimestamp"} and "data" in record:
        return Unpacked(_content(record["data"]), _text(record.get("recordId")), None)
    return _event_hubs(record)


def event_id(attributes: dict[str, Any]) -> str:
    """Returns the identity of a CloudEvent: its source and its id together."""
    return f"{attributes.get('source')} {attributes.get('id')}"


def _event_hubs(record: dict[str, Any]) -> Unpacked | None:
    folded = {key.lower(): value for key, value in record.items()}
    body = folded.get("body")
    if body is None or not folded.keys() & {"enqueuedtimeutc", "sequencenumber", "offset"}:
        return None
    content = orjson.dumps(body) if type(body) in (dict, list) else _text_or_packed(body)
    return Unpacked(content, None, _time(folded.get("enqueuedtimeutc")))


def _content(data: object) -> bytes:
    return orjson.dumps(data) if type(data) in (dict, list) else _packed(data)


def _text_or_packed(body: object) -> bytes:
    if type(body) is str and body.lstrip()[:1] in {"{", "["}:
        return body.encode()
    return _packed(body)


def _packed(data: object) -> bytes:
    if type(data) is not str:
        raise Refused("unknown_shape", f"data is {shown(data)}; it must be text in base64")
    try:
        return b64decode(data, validate=True)
    except ValueError as error:
        raise Refused("unknown_shape", f"data cannot be unpacked: {error}") from None


def _text(name: object) -> str | None:
    return None if name is None else str(name)


def _time(value: object) -> int | None:
    try:
        return None if value is None else parse_time(value)
    except ValueError:
        return None  # The content may have a time of its own.
