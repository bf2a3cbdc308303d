"""The ``explain`` command: what each field of a prospect holds, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import click
import orjson

from pipeline.console.exit_status import DONE, failing_plainly
from pipeline.console.flags import PROSPECT, flag
from pipeline.console.formatting import duration
from pipeline.console.screen import Screen
from pipeline.ledger.directory.exclusions import LastExclusion
from pipeline.ledger.queries.prospect import (
    EndedChange,
    FieldHistory,
    WaitingChange,
    read_exclusions,
    read_past,
)
from pipeline.ledger.queries.snapshot_reader import audience_names
from pipeline.ledger.store import looked_at
from pipeline.monitoring.prospect_view import as_json, audience_of
from transforms.times import format_time

_SHOWN = 10
"""Changes shown of a field; `--json` has all."""


@click.command("explain")
@click.argument("outreach_id", type=PROSPECT, metavar="OUTREACH_ID")
@flag("ledger", required=True, metavar="PATH", help="The ledger of `run` or `replay`.")
@flag("json", is_flag=True, help="One JSON object instead of text.")
def explain_command(outreach_id: int, ledger: str, json: bool) -> None:
    """Says what each field of the prospect OUTREACH_ID holds, and why.

    For each field: its value, the change that set it, when that was sent and answered, what
    waits, and what became of all other changes, newest first. It only reads the ledger.
    """
    with failing_plainly(Screen(stderr=True)):
        with looked_at(ledger) as connection:
            fields = read_past(connection, outreach_id)
            excluded = read_exclusions(connection, outreach_id)
            names = audience_names(connection)
        if json:
            click.echo(orjson.dumps(as_json(outreach_id, fields, names, excluded)).decode())
        else:
            for line in explained(outreach_id, fields, names, time.time(), excluded):
                click.echo(line)
    raise SystemExit(DONE)


def explained(
    outreach_id: int,
    fields: list[FieldHistory],
    names: Mapping[str, str],
    now: float,
    excluded: Sequence[LastExclusion] = (),
) -> Iterator[str]:
    """Lines for a person; `now` in seconds since the epoch."""
    if not fields and not excluded:
        yield f"The ledger knows nothing of prospect {outreach_id}."
        yield "Nothing of it arrived and was mapped, or that is longer ago than the ledger keeps,"
        yield "or it was forgotten. Messages that are not taken in yet are not looked into."
        return
    yield f"Prospect {outreach_id}"
    for one in fields:
        name = audience_of(one, names)
        yield ""
        yield one.name + (f"  {name}" if name else "")
        yield from _value(one)
        if one.waiting is not None:
            yield f"  waiting: {_waiting(one.waiting, now)}"
        for other in one.others[:_SHOWN]:
            yield f"  {other.outcome}: {_other(other)}"
        if len(one.others) > _SHOWN:
            yield f"  and {len(one.others) - _SHOWN:,} older ones; --json has all"
    for each in excluded:
        said = f" ({each.status})" if each.status else ""
        yield ""
        name = names.get(each.what, each.what)
        yield f"excluded at {format_time(each.recorded_at)}: {name}{said}"
        yield f"  {each.detail}"


def _value(one: FieldHistory) -> Iterator[str]:
    if one.value is None:
        yield "  value: not known; nothing was delivered, or the last time is long ago"
        return
    yield f"  value: {one.value.value}"
    if one.set_by is None:
        yield f"  set by: change {one.value.change_id}, whose receipt is no longer kept"
    elif one.set_by.outcome == "delivered":
        yield f"  set by: {_other(one.set_by)}"
    else:
        # Only a read of the prospect has an answer; without one the ledger remembered the value.
        how = "remembered" if one.set_by.http_status is None else "found"
        yield f"  {how} to hold it: {_other(one.set_by)}"
    if one.value.doubted:
        yield "  in doubt: a request that may have changed it is under way, or was never answered"
    if one.set_by is None or one.value.heard_at != one.set_by.recorded_at:
        yield f"  last confirmed: {format_time(one.value.heard_at)}"


def _waiting(due: WaitingChange, now: float) -> str:
    age = duration(now - due.received_at / 1e6)
    state = "its audience is held" if due.held else f"for user {due.user}"
    if not due.held and due.due_at is not None and due.due_at / 1e6 > now:
        state += f", not before {format_time(due.due_at)}"
    return f"{due.value} since {age}, {state}; {_origin(due)}"


def _other(one: EndedChange) -> str:
    answer = f"answered {one.http_status}" if one.http_status is not None else ""
    sent = " ".join(part for part in (f"by {one.user}" if one.user else "", answer) if part)
    why = f": {one.reason}" + (f" ({one.detail})" if one.detail else "") if one.reason else ""
    return f"{one.value} at {format_time(one.recorded_at)}{f' {sent}' if sent else ''}{why}; " + (
        _origin(one)
    )


def _origin(one: EndedChange | WaitingChange) -> str:
    segment = "" if one.segment is None else f" of segment {one.segment}"
    time = (
        "without a time" if one.event_time is None else f"event time {format_time(one.event_time)}"
    )
    return f"change {one.change_id}{segment}, {time}"
