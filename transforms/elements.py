"""What travels between the stages: immutable named tuples, no Beam, no I/O.

Named tuples rather than dataclasses because a replay makes a million of them: one
costs a quarter of a frozen dataclass, and Beam knows both as rows
(`transforms.coders` registers a `RowCoder` for each).

Units: every time is an ``int`` of **microseconds since the epoch, UTC**; every
``value`` is **JSON text**, so that a string, a number, a list and a null compare,
hash and encode alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Block(NamedTuple):
    """Consecutive arrivals from one source: many lines of a file, or one message.

    Attributes:
      source: the file's path or the subscription, as a person would write it.
      position: place of the first arrival among all of this run; orders ties.
      lines: the arrivals, as bytes, without their line ends.
      line: the number of the first arrival in its source, counted from 1.
      header: a CSV file's header line, if these lines are rows of one.
      published: when a message was published; None for a file's lines.
      message_id: the id the publisher's service gave a message; None for a file.
    """

    source: str
    position: int
    lines: Sequence[bytes]
    line: int = 1
    header: str | None = None
    published: int | None = None
    message_id: str | None = None


class MembershipChange(NamedTuple):
    """A prospect's new status in one segment, as it arrived and not yet mapped.

    Attributes:
      arrival_id: stable id of the line or message it came in.
      outreach_id: the prospect, a positive integer; before it is resolved, minus the place of
        its key among its block's, from 1; 0 where no prospect is known by its key.
      namespace: of the segment; None where the format has none.
      segment: the audience's id at its source.
      status: ``realized``, ``existing`` or ``exited``.
      event_time: None for a line of a file that names no time.
      sequence: order of publication; a later one wins at equal times.
      retry: it was refused or deferred once and is to be sent whatever is remembered.
    """

    arrival_id: str
    outreach_id: int
    namespace: str | None
    segment: str
    status: str
    event_time: int | None
    sequence: int
    retry: bool = False


class AttributeChange(NamedTuple):
    """A prospect's new value for one profile attribute, not yet mapped.

    Attributes as of `MembershipChange`, and:
      source: the attribute's path at its source, such as ``person.name.firstName``.
      value: JSON text; ``null`` clears.
    """

    arrival_id: str
    outreach_id: int
    source: str
    value: str
    event_time: int | None
    sequence: int
    retry: bool = False


class Change(NamedTuple):
    """One new value for one field of one prospect.

    Attributes:
      change_id: stable: the same line or message gives the same id.
      outreach_id: the prospect; 0 where none is known by its key.
      user: name of the Outreach user by whom this prospect's patches go.
      field: the prospect attribute to write, such as ``custom4``.
      value: JSON text; ``null`` clears the field.
      segment: the audience's id; None for a profile attribute.
      namespace: of the segment, where the format has one.
      origin: what the value was mapped from: the status, or the attribute's path.
      event_time: None for a line of a file that names no time.
      sequence: order of publication; a later one wins at equal times.
      retry: it is to be sent even if the prospect is remembered to hold the value.
    """

    change_id: str
    outreach_id: int
    user: str
    field: str
    value: str
    segment: str | None
    namespace: str | None
    origin: str
    event_time: int | None
    sequence: int
    retry: bool = False


class Unresolved(NamedTuple):
    """Changes of one key of which no prospect is known, or several.

    Attributes:
      key: an address, an external id or another.
      changes: mapped, with 0 for the OutreachId.
      prospects: how many have the key; 0 or more than 1.
      spelling: of the key in its record; empty where it is the key itself.
    """

    key: str
    changes: Sequence[Change]
    prospects: int
    spelling: str = ""


class Patch(NamedTuple):
    """What one request will carry to one prospect: at most one change a field.

    Attributes:
      outreach_id: the prospect.
      user: name of the Outreach user by whom it goes.
      changes: at most one a field.
      attempts: troubles of the server's that it met, one after the other.
      troubled_since: when it met the first of them; None if it met none.
      not_before: when it is to be tried again; 0 for at once.
    """

    outreach_id: int
    user: str
    changes: Sequence[Change]
    attempts: int = 0
    troubled_since: int | None = None
    not_before: int = 0


class Outcome(NamedTuple):
    """What became of some changes; written out as one receipt for each.

    Attributes:
      outcome: one of `OUTCOMES`.
      changes: those that ended so.
      recorded_at: when that was known.
      reason: a code that says why, where the outcome alone does not.
      detail: for people; without secrets.
      http_status: of the answer that decided it, if one did.
      user: name of the Outreach user who sent the request, if one was sent.
      key: what the prospect was known by, where the changes have no OutreachId.
      match: what kind of key that is, such as ``email``.
    """

    outcome: str
    changes: Sequence[Change]
    recorded_at: int
    reason: str | None = None
    detail: str | None = None
    http_status: int | None = None
    user: str | None = None
    key: str = ""
    match: str = ""


class Receipt(NamedTuple):
    """What became of one change.

    Attributes:
      change_id: of the change.
      outreach_id: the prospect; 0 where none was known by the change's key.
      segment: the audience's id; None for a profile attribute.
      field: the prospect attribute that it was for.
      value: JSON text.
      event_time: of the change; None if it had none.
      outcome: one of `OUTCOMES`.
      reason: a code that says why, where the outcome alone does not.
      http_status: of the answer that decided it, if one did.
      user: name of the Outreach user who sent the request, if one was sent.
      recorded_at: when that was known.
    """

    change_id: str
    outreach_id: int
    segment: str | None
    field: str
    value: str
    event_time: int | None
    outcome: str
    reason: str | None
    http_status: int | None
    user: str | None
    recorded_at: int


class Exclusion(NamedTuple):
    """What a condition of the destination kept out, and why; it is no change, and has no receipt.

    Attributes:
      prospect: its OutreachId as text, or what it is known by.
      what: the segment, or the attribute's path.
      status: of the membership; empty for an attribute.
      event_time: None if it had none.
      detail: for people: what did not hold.
    """

    prospect: str
    what: str
    status: str
    event_time: int | None
    detail: str


class DeadLetter(NamedTuple):
    """What could not be read or delivered, kept so that `replay` can take it again.

    Attributes:
      stage: ``parse`` or ``deliver``.
      reason: a code, such as ``not_json``.
      detail: for people: what was wrong, where, and what mends it.
      payload: JSON text: a string of what arrived, or an object of what was to be sent.
      source: file and line, or subscription and message.
      http_status: of the answer that refused it, if one did.
      recorded_at: when that was known.
    """

    stage: str
    reason: str
    detail: str
    payload: str
    source: str
    http_status: int | None
    recorded_at: int


FROM_RECEIPT = "receipt:"
"""Begins the origin of what a receipt says a field holds: it is remembered, and never sent.

A row of its own would change the layout of every job's state; `is_known` tells them apart.
"""

CLEARED = "clear:"
"""Begins the origin of a change by which a person has a field emptied, mapped or not."""

KEYED = "@"
"""In an arrival's id, before the digest of the key that its prospect was known by.

The id of such a change does not have the OutreachId in it, which may become known later.
"""

STATUSES = ("realized", "existing", "exited")
"""The membership statuses of Experience Platform, all that a record may carry."""

DELIVERED = "delivered"
UNCHANGED = "unchanged"
SUPERSEDED = "superseded"
REJECTED = "rejected"
DEFERRED = "deferred"
NOT_EMPTY = "not_empty"
"""The reason of what was to be written only into an empty field, and is unchanged, as it is not."""
FREEMAIL = "freemail"
"""The reason of what is unchanged as its domain is a freemail provider's, and no account's."""
OUTCOMES = (DELIVERED, UNCHANGED, SUPERSEDED, REJECTED, DEFERRED)
"""Every end a change can come to; each change comes to exactly one of them."""


def is_held(outcome: Outcome) -> bool:
    """Whether the fields are known by this to hold what their changes say."""
    return outcome.outcome in (DELIVERED, UNCHANGED) and outcome.reason not in (NOT_EMPTY, FREEMAIL)


def is_known(change: Change) -> bool:
    """Whether this says what the field is known to hold, rather than asks for a change of it."""
    return change.segment is None and change.origin.startswith(FROM_RECEIPT)
