"""What became of one field's changes, in the order of time and in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from pipeline.ledger.queries.prospect import EndedChange, FieldHistory, WaitingChange
from transforms.times import format_time

_WHY: Final = {
    ("delivered", None): "written to Outreach",
    ("delivered", "bulk"): "written by a bulk action, and read back",
    ("delivered", "created"): "written with its new prospect",
    ("delivered", "dry_run"): "rehearsed; nothing was sent",
    ("unchanged", None): "the field was known to hold it already",
    ("unchanged", "directory"): "the directory has it that the field holds it already",
    ("unchanged", "not_empty"): "the field holds something, and is only filled where it is empty",
    ("superseded", None): "a newer change took its place before it was sent",
    ("superseded", "unmapped"): "the destination does not map it any more",
    ("deferred", "deferred"): "left when the job was asked to stop",
}


def timeline(one: FieldHistory) -> list[dict[str, Any]]:
    """What became of a field's changes, oldest first; what waits is last.

    Each has ``at`` (RFC 3339), ``value``, ``outcome``, ``why`` (for people), ``event_time`` and
    ``change_id``.
    """
    ended = [*one.others] if one.set_by is None else [one.set_by, *one.others]
    # Of changes that were recorded at once, those read first are the newest.
    ended.reverse()
    found = [
        _entry(each, each.recorded_at, each.outcome, ", ".join(_why(each)))
        for each in sorted(ended, key=lambda each: each.recorded_at)
    ]
    if one.waiting is not None:
        due = one.waiting
        found.append(_entry(due, due.received_at, "waiting", _due(due)))
    return found


def _entry(one: EndedChange | WaitingChange, at: int, outcome: str, why: str) -> dict[str, Any]:
    return {
        "at": format_time(at),
        "value": orjson.loads(one.value),
        "outcome": outcome,
        "why": why,
        "event_time": None if one.event_time is None else format_time(one.event_time),
        "change_id": one.change_id,
    }


def _why(one: EndedChange) -> Iterator[str]:
    if one.outcome == "unchanged" and one.reason is None and one.http_status is not None:
        yield "the field was read to hold it already"
    elif (one.outcome, one.reason) in _WHY:
        yield _WHY[one.outcome, one.reason]
    elif one.reason is not None:
        yield one.reason + (f" ({one.detail})" if one.detail else "")
    if one.http_status is not None:
        yield f"answered {one.http_status}"
    if one.user is not None:
        yield f"by {one.user}"


def _due(due: WaitingChange) -> str:
    if due.held:
        return "its audience is held until a person lets it go"
    # Most are due when they arrive; a person reads seconds.
    waits = due.due_at is not None and due.due_at > due.received_at
    later = f", not before {format_time((due.due_at or 0) // 10**6 * 10**6)}" if waits else ""
    return f"to be sent by {due.user}{later}"
