"""Emptying a field wherever it holds something, or giving it another value."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from rich.console import Console

from pipeline.console.formatting import duration
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import Place, budget_of
from pipeline.engine.outputs import begin_outputs
from pipeline.jobs.ledger_replay import deliver_all
from pipeline.jobs.org.pulling import OrgJob, org_job, refresh
from pipeline.ledger import history, waiting
from pipeline.ledger.directory import entries
from pipeline.ledger.inbox import BACKFILL
from pipeline.ledger.queries.org import left_fields
from pipeline.ledger.store import looked_at, transaction
from transforms.budget.forecast import hours
from transforms.clock import micros
from transforms.elements import CLEARED, OUTCOMES, Change
from transforms.errors import ConfigurationError
from transforms.formats.context import PLACE_BITS
from transforms.mapping import Mapping
from transforms.outreach.fields import OBJECTS, fit
from transforms.outreach.normalisation import is_same_value
from transforms.text import did_you_mean

_AT_ONCE = 5_000


def field_to_clear(
    destination: Destination, ledger: str, target: str, *, force: bool = False
) -> str:
    """The field that is meant by its name, or by the audience that was written to it.

    Raises:
      ConfigurationError: there is no such field or audience, or an audience of the destination
        owns it.
    """
    fields = OBJECTS[destination.object].fields
    owners = {each.field: each for each in destination.audiences}
    by_segment = {each.segment: each.field for each in destination.audiences}
    with looked_at(ledger) as connection:
        left = {each.segment: each.field for each in left_fields(connection)}
    field = target if target in fields else left.get(target, by_segment.get(target))
    if field is None:
        near = did_you_mean(target, (*fields, *left, *by_segment))
        raise ConfigurationError(
            f"{target!r} is no prospect field, and no audience that a field was written for"
            f"{near or '; name a field such as custom17'}"
        )
    if not fields[field].writable:
        raise ConfigurationError(f"{field} cannot be written; Outreach keeps it by itself")
    owner = owners.get(field)
    if owner is not None and not force:
        raise ConfigurationError(
            f"{field} belongs to audience {owner.name or owner.segment} of this destination, whose"
            " next changes would fill it again; take the audience out first, or say --force"
        )
    return field


def clear(
    destination: Destination,
    ledger: str,
    field: str,
    value: str | None,
    console: Console,
    agrees: Callable[[str], bool],
) -> dict[str, Any]:
    """Has a field emptied, or set to a value, wherever it holds something else.

    Args:
      destination: by whose users.
      ledger: its path.
      field: as of `field_to_clear`.
      value: what to put there; None to empty it.
      console: for people, on standard error.
      agrees: is told what would be done, and returns whether to do it.

    Returns:
      What was done, for a program.

    Raises:
      ConfigurationError: the ledger is in use, or the field cannot hold the value.
      ActivationError: Outreach does not let prospects be read.
    """
    try:
        text = orjson.dumps(fit(OBJECTS[destination.object].fields[field], value)).decode()
    except ValueError as misfit:
        raise ConfigurationError(f"--to {value!r}: {misfit}") from None
    with org_job(destination, Place.of(destination), ledger, console, also=(field,)) as job:
        before = history.totals(job.ledger)
        done: dict[str, Any] = {"field": field, "to": value, "prospects": 0, "agreed": False}
        if not refresh(job, console):
            return {**done, "complete": False}
        found = list(_holding(job.ledger, field, text))
        done["prospects"] = len(found)
        if found and (agreed := agrees(_question(destination, field, value, len(found)))):
            done["agreed"] = agreed
            _queue(job, field, text, found)
            outputs = begin_outputs(None, None, job.ledger, afresh=False, lasting=False)
            done["complete"] = deliver_all(job.scheduler, job.stop_signal, outputs, job.config)
        else:
            done["complete"] = not found
        after = history.totals(job.ledger)
        counted = (*OUTCOMES, "requests")
        return {**done, **{name: after[name] - before[name] for name in counted}}


def _question(destination: Destination, field: str, value: str | None, count: int) -> str:
    terms = [budget_of(user) for user in destination.users]
    takes = max(hours(-(-count // len(terms)), each) for each in terms)
    what = "is emptied" if value is None else f"becomes {value!r}"
    long = "" if not takes else f", which takes about {duration(takes * 3600)}"
    return (
        f"{field} holds something in {count:,} prospects. It {what} there: {count:,}"
        f" requests{long}."
    )


def _holding(connection: sqlite3.Connection, field: str, text: str) -> Iterator[int]:
    """Prospects whose field holds something, and not that already."""
    wanted = orjson.loads(text)
    for entry in entries.every(connection):
        held = orjson.loads(entry.fields).get(field)
        if held is not None and not is_same_value(field, wanted, held):
            yield entry.outreach_id


def _queue(job: OrgJob, field: str, text: str, prospects: Sequence[int]) -> None:
    """Has the changes wait, behind what is live."""
    mapping = Mapping(job.config.plan)
    for start in range(0, len(prospects), _AT_ONCE):
        now = micros(job.config.clock())
        changes = [
            Change(
                f"{CLEARED}{now}-{prospect}-{field}",
                prospect,
                mapping.user_of(prospect),
                field,
                text,
                None,
                None,
                f"{CLEARED}{field}",
                now,
                now << PLACE_BITS,
                retry=True,
            )
            for prospect in prospects[start : start + _AT_ONCE]
        ]
        with transaction(job.ledger):
            waiting.take_in(job.ledger, waiting.Intake(changes, [], BACKFILL), now, 0)
            history.add_totals(job.ledger, {"changes": len(changes)})
