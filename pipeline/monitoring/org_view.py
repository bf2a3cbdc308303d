"""How the directory and the fields of the org stand, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

import orjson

from pipeline.console.formatting import duration
from pipeline.ledger.bulk.batches import OPEN, LedgerBatch
from pipeline.ledger.queries.org import LeftField, OrgStanding
from transforms.clock import micros
from transforms.times import format_time


def lines(org: OrgStanding, ledger: str, now: float) -> Iterator[str]:
    """Returns the lines about the org; none without a directory and without a left-over field."""
    directory = org.directory
    if directory is not None:
        age = (
            "not complete yet"
            if directory.fresh_at is None
            else f"as of {duration(now - directory.fresh_at)} ago"
        )
        reading = ", being read" if directory.pulling else ""
        said = f"Directory: {directory.prospects:,} prospects, {age}{reading}."
        if directory.unresolved:
            said += f" {directory.unresolved:,} changes wait for their prospect to be found."
        yield said
    for left in org.left:
        yield f"{left_said(left)} {clear_command(left, ledger)}"
    away = [each for each in org.batches if each.state in OPEN]
    if away:
        prospects = sum(each.prospects for each in away)
        yield f"Bulk actions: {len(away)} for {prospects:,} prospects are on their way."
    if org.drift is not None:
        found = org.drift["audiences"]
        different = sum(each["different"] for each in found)
        gone = sum(each["gone"] for each in found)
        same = sum(each["same"] for each in found)
        at = duration(now - org.drift["ended_at"] / 1e6)
        yield (
            f"Checked {at} ago: {same:,} values are as they should be, {different:,} differ,"
            f" {gone:,} are of prospects that are gone."
        )


def left_said(left: LeftField) -> str:
    """Describes a field that no audience or attribute writes any more."""
    return (
        f"{left.field} still holds in {left.prospects:,} prospects what audience {left.name} was"
        " written there, and nothing is mapped to it so any more. To empty it:"
    )


def clear_command(left: LeftField, ledger: str) -> str:
    """The command that empties it."""
    return f"outreach-activation clear {left.field} --destination PATH --ledger {quote(ledger)}"


def as_json(org: OrgStanding) -> dict[str, Any]:
    """For a program; every time is RFC 3339 or null."""
    directory = org.directory
    drift = None
    if org.drift is not None:
        drift = {**org.drift, "ended_at": format_time(org.drift["ended_at"])}
    return {
        "directory": None
        if directory is None
        else {
            **directory._asdict(),
            "fresh_at": _time(directory.fresh_at),
            "full_at": _time(directory.full_at),
        },
        "left_fields": [each._asdict() for each in org.left],
        "reconcile": drift,
        "batches": [_batch(each) for each in org.batches],
    }


def _batch(batch: LedgerBatch) -> dict[str, Any]:
    names = ("number", "user", "field", "state", "prospects", "kept", "gone", "failures", "note")
    return {
        **{name: getattr(batch, name) for name in names},
        "value": orjson.loads(batch.value),
        "planned_at": format_time(batch.planned_at),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else format_time(micros(round(seconds, 3)))
