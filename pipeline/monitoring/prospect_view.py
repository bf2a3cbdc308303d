"""What a ledger knows of one prospect, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pipeline.ledger.directory.exclusions import LastExclusion
from pipeline.ledger.queries.prospect import EndedChange, FieldHistory, WaitingChange
from pipeline.monitoring.timeline import timeline
from transforms.times import format_time


def as_json(
    outreach_id: int,
    fields: list[FieldHistory],
    names: Mapping[str, str],
    excluded: Sequence[LastExclusion] = (),
) -> dict[str, Any]:
    """One object; every time is RFC 3339 or null, every value as Outreach has it."""
    return {
        "outreach_id": outreach_id,
        "known": bool(fields),
        "fields": [_field(one, names) for one in fields],
        "excluded": [_row(one) for one in excluded],
    }


def _field(one: FieldHistory, names: Mapping[str, str]) -> dict[str, Any]:
    value, set_by = one.value, one.set_by
    if set_by is None and value is not None:
        # Its receipt is no longer kept; the rest of it is still known.
        blank = EndedChange._make([None] * len(EndedChange._fields))
        kept = {key: getattr(value, key) for key in ("change_id", "segment", "value", "event_time")}
        set_by = blank._replace(**kept)
    return {
        "field": one.name,
        "audience": audience_of(one, names),
        "known": value is not None,
        "value": None if value is None else orjson.loads(value.value),
        "doubted": value is not None and value.doubted,
        "confirmed_at": None if value is None else format_time(value.heard_at),
        "set_by": None if set_by is None else _row(set_by),
        "waiting": None if one.waiting is None else _row(one.waiting),
        "others": [_row(other) for other in one.others],
        "timeline": timeline(one),
    }


def audience_of(one: FieldHistory, names: Mapping[str, str]) -> str | None:
    """The name of the audience that a field's value is of; None of an attribute."""
    found = one.waiting or one.value or one.others[0]
    return None if found.segment is None else names.get(found.segment, found.segment)


def _row(one: EndedChange | WaitingChange | LastExclusion) -> dict[str, Any]:
    row = one._asdict()
    for key, value in row.items():
        if key == "value":
            row[key] = orjson.loads(value)
        elif key in ("event_time", "recorded_at", "received_at", "due_at"):
            row[key] = None if value is None else format_time(value)
    return row
