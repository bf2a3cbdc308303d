"""Receipts and dead letters as elements and as text; no Beam, which takes seconds to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from transforms.elements import DEFERRED, REJECTED, Change, DeadLetter, Outcome, Receipt
from transforms.outreach.fields import PROSPECT
from transforms.times import format_time


def receipts(outcome: Outcome, kind: str = PROSPECT) -> list[bytes]:
    """The receipt of each change, as a JSON object without a line end.

    One of something else than a prospect says of what.

    Put together from text, for a replay may write a million of them: a dictionary for each
    would take four times as long.
    """
    of_all = {
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "http_status": outcome.http_status,
        "user": outcome.user,
        "recorded_at": format_time(outcome.recorded_at),
    }
    if kind != PROSPECT:
        of_all["object"] = kind
    end = orjson.dumps(of_all).decode().removeprefix("{")
    segments: dict[str | None, str] = {}
    written: list[bytes] = []
    for change in outcome.changes:
        segment = segments.get(change.segment)
        if segment is None:
            segment = segments[change.segment] = _json(change.segment)
        time = "null" if change.event_time is None else f'"{format_time(change.event_time)}"'
        written.append(
            f'{{"change_id":{_json(change.change_id)},"outreach_id":{change.outreach_id or "null"},'
            f'"segment":{segment},"field":"{change.field}","value":{change.value},'
            f'"event_time":{time},{end}'.encode()
        )
    return written


def receipts_of(outcome: Outcome) -> Iterator[Receipt]:
    """The receipt of each change, as an element."""
    for change in outcome.changes:
        yield Receipt(
            change.change_id,
            change.outreach_id,
            change.segment,
            change.field,
            change.value,
            change.event_time,
            outcome.outcome,
            outcome.reason,
            outcome.http_status,
            outcome.user,
            outcome.recorded_at,
        )


def receipt_line(receipt: Receipt) -> bytes:
    """A receipt as a JSON object without a line end."""
    time = receipt.event_time
    return orjson.dumps(
        {
            **receipt._asdict(),
            "outreach_id": receipt.outreach_id or None,
            "value": orjson.Fragment(receipt.value),
            "event_time": None if time is None else format_time(time),
            "recorded_at": format_time(receipt.recorded_at),
        }
    )


def _json(value: str | None) -> str:
    return orjson.dumps(value).decode()


def dead_letters(outcome: Outcome) -> Iterator[DeadLetter]:
    """A dead letter for each change that was refused or deferred; of others, none."""
    if outcome.outcome not in (REJECTED, DEFERRED):
        return
    for change in outcome.changes:
        yield DeadLetter(
            stage="deliver",
            reason=outcome.reason or outcome.outcome,
            detail=outcome.detail or "",
            payload=orjson.dumps(_patch_of(change, outcome)).decode(),
            source=change.change_id,
            http_status=outcome.http_status,
            recorded_at=outcome.recorded_at,
        )


def _patch_of(change: Change, outcome: Outcome) -> dict[str, Any]:
    # Beside the patch, what it was mapped from: a mended destination file maps it anew.
    whose = {outcome.match: outcome.key} if outcome.key else {"outreach_id": change.outreach_id}
    return {
        **whose,
        "attributes": {change.field: orjson.Fragment(change.value)},
        "segment": change.segment,
        "namespace": change.namespace,
        "origin": change.origin,
        "event_time": None if change.event_time is None else format_time(change.event_time),
        "change_id": change.change_id,
    }


def dead_letter_line(letter: DeadLetter) -> bytes:
    """A dead letter as a JSON object without a line end."""
    return orjson.dumps(
        {
            "stage": letter.stage,
            "reason": letter.reason,
            "detail": letter.detail,
            "payload": orjson.Fragment(letter.payload),
            "source": letter.source,
            "http_status": letter.http_status,
            "recorded_at": format_time(letter.recorded_at),
        }
    )
