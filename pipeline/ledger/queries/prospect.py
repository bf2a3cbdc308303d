"""What a ledger knows of one prospect: each field's value, and what became of its changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.ledger.directory.exclusions import LastExclusion, of_prospect


class EndedChange(NamedTuple):
    """A change and what became of it. Times are microseconds since the epoch.

    Attributes:
      change_id: its id.
      segment: the audience's; None for a profile attribute.
      value: JSON text.
      event_time: None if it had none.
      outcome: see `transforms.elements.OUTCOMES`.
      reason: a code that says why, where the outcome alone does not.
      detail: for people.
      http_status: of the answer that decided it.
      user: name of the Outreach user who sent it.
      recorded_at: when that was known.
    """

    change_id: str
    segment: str | None
    value: str
    event_time: int | None
    outcome: str
    reason: str | None
    detail: str | None
    http_status: int | None
    user: str | None
    recorded_at: int


class KnownValue(NamedTuple):
    """What a field is known to hold.

    Attributes:
      value: JSON text.
      change_id: of the change that set it.
      segment: the audience's; None for a profile attribute.
      event_time: of the newest change that said so; None if it had none.
      heard_at: when that was.
      doubted: whether a request may have changed it whose answer nobody heard.
    """

    value: str
    change_id: str
    segment: str | None
    event_time: int | None
    heard_at: int
    doubted: bool


class WaitingChange(NamedTuple):
    """What waits to be sent.

    Attributes:
      value: JSON text.
      change_id: of the change.
      segment: the audience's; None for a profile attribute.
      event_time: None if it had none.
      received_at: when it arrived.
      user: name of the Outreach user by whom it goes.
      held: whether its audience is held.
      due_at: when its prospect's turn is, at the earliest.
    """

    value: str
    change_id: str
    segment: str | None
    event_time: int | None
    received_at: int
    user: str
    held: bool
    due_at: int | None


@dataclass(frozen=True, slots=True)
class FieldHistory:
    """One field of a prospect.

    Attributes:
      name: such as ``custom4``.
      value: what it is known to hold; None if nothing was delivered, or that was long ago.
      set_by: the receipt of the change that set it; None if there is none any more.
      waiting: what is to be sent.
      others: the receipts of all other changes, newest first.
    """

    name: str
    value: KnownValue | None
    set_by: EndedChange | None
    waiting: WaitingChange | None
    others: Sequence[EndedChange]


def read_exclusions(connection: sqlite3.Connection, outreach_id: int) -> list[LastExclusion]:
    """What conditions of the destination kept out of a prospect's fields last."""
    known_by = [
        key
        for (key,) in connection.execute(
            "SELECT address FROM addresses WHERE outreach_id = ?1 UNION ALL SELECT external_id"
            " FROM directory WHERE outreach_id = ?1 AND external_id NOT NULL",
            (outreach_id,),
        )
    ]
    return of_prospect(connection, [str(outreach_id), *known_by])


def read_past(connection: sqlite3.Connection, outreach_id: int) -> list[FieldHistory]:
    """All fields of which the ledger knows something, in one transaction."""
    connection.execute("BEGIN")
    try:
        values = {
            row[0]: KnownValue._make((*row[1:6], bool(row[6])))
            for row in connection.execute(
                "SELECT field, value, change_id, segment, event_time, heard_at, doubted"
                " FROM known"
                " WHERE outreach_id = ?",
                (outreach_id,),
            )
        }
        waiting = {
            row[0]: WaitingChange._make((*row[1:7], bool(row[7]), row[8]))
            for row in connection.execute(
                "SELECT field, value, change_id, segment, event_time, received_at, w.user,"
                " EXISTS (SELECT 1 FROM held AS h WHERE h.segment = w.segment"
                " AND h.released_at IS NULL), q.due_at"
                " FROM waiting AS w LEFT JOIN queue AS q ON q.outreach_id = w.outreach_id"
                " WHERE w.outreach_id = ?",
                (outreach_id,),
            )
        }
        ended: dict[str, list[EndedChange]] = {}
        for name, *rest in connection.execute(
            "SELECT field, change_id, segment, value, event_time, outcome, reason, detail,"
            " http_status, user, recorded_at FROM receipts WHERE outreach_id = ?"
            " ORDER BY recorded_at DESC, id DESC",
            (outreach_id,),
        ):
            ended.setdefault(name, []).append(EndedChange._make(rest))
    finally:
        connection.execute("COMMIT")
    return [
        _field(name, values.get(name), waiting.get(name), ended.get(name, []))
        for name in sorted({*values, *waiting, *ended}, key=_order)
    ]


def _field(
    name: str, value: KnownValue | None, waiting: WaitingChange | None, ended: list[EndedChange]
) -> FieldHistory:
    # A field that was read to hold the value is known by a change that was never sent.
    set_by = next(
        (
            one
            for one in ended
            if value is not None
            and one.change_id == value.change_id
            and one.outcome in ("delivered", "unchanged")
        ),
        None,
    )
    return FieldHistory(name, value, set_by, waiting, [one for one in ended if one is not set_by])


def _order(name: str) -> tuple[str, int]:
    letters = name.rstrip("0123456789")
    return letters, int(name[len(letters) :] or 0)
