"""The fold: of many changes to one prospect, the newest for each field.

Plain functions over plain dicts. The result does not depend on the order, the repetition or
the grouping of what is folded in. `transforms.stages.coalesce` is the stage around them; the queue
of `transforms.stages.patch` folds with them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from transforms.elements import Change, is_known

Held = dict[str, Change]
"""A prospect's best change so far, for each slot (see `slot`)."""


class Known(NamedTuple):
    """What a field was last given, and how new that was.

    Attributes:
      value: JSON text.
      event_time: microseconds since the epoch; None if it had none.
      sequence: as of the change that set it.
    """

    value: str
    event_time: int | None
    sequence: int


class Settled(NamedTuple):
    """A prospect's changes, each decided: to be sent, or not worth a request."""

    due: list[Change]
    superseded: list[Change]
    unchanged: list[Change]


def slot(change: Change) -> str:
    """Where a change waits: by field, and apart from timed ones if it has no time.

    A change without a time keeps its place in its file: it follows what stands before it and
    yields to what stands after. Which of the two wins can only be said once all are there, so
    the best timed and the last untimed one wait side by side until `settle`. What a receipt says
    that the field holds (`is_known`) waits beside both, until `remember`.
    """
    if change.segment is None and is_known(change):
        return "=" + change.field
    return change.field if change.event_time is not None else "?" + change.field


def is_newer(change: Change, other: Change) -> bool:
    """Whether a change wins over another of its slot: by event time, then by publication.

    The id breaks what ties are left, so that the answer does not depend on the order of asking.
    """
    time, other_time = change.event_time, other.event_time
    # Of two receipts one may have a time and the other none; then their places decide.
    if time is not None and other_time is not None and time != other_time:
        return time > other_time
    if change.sequence != other.sequence:
        return change.sequence > other.sequence
    # Of one segment in two namespaces, both changes have the line's id.
    return (change.change_id, change.value) > (other.change_id, other.value)


def gather(held: dict[int, Held], changes: Iterable[Change]) -> list[Change]:
    """Folds changes into what is held for each prospect; returns those that lost.

    What receipts say (`is_known`) is folded as well, and is never among those that lost.

    Args:
      held: by OutreachId; changed in place.
      changes: of any prospects, in any order.
    """
    lost: list[Change] = []
    for change in changes:
        best = held.get(change.outreach_id)
        if best is None:
            held[change.outreach_id] = {slot(change): change}
            continue
        where = slot(change)
        other = best.get(where)
        if other is None:
            best[where] = change
        elif is_newer(change, other):
            best[where] = change
            if not is_known(other):
                lost.append(other)
        elif not is_known(change):
            lost.append(change)
    return lost


def settle(held: Held) -> tuple[list[Change], list[Change]]:
    """The winners, one a field in the fields' order, and what the last step left behind."""
    winners: dict[str, Change] = {}
    lost: list[Change] = []
    for change in held.values():
        if is_known(change):
            continue
        other = winners.setdefault(change.field, change)
        if other is change:
            continue
        # One has a time and one has not: the later in its file wins.
        later, earlier = (change, other) if _place(change) > _place(other) else (other, change)
        winners[change.field] = later
        lost.append(earlier)
    return [winners[field] for field in sorted(winners)], lost


def remember(held: Held, known: dict[str, Known]) -> list[Change]:
    """Brings `known` up to date with what receipts among those held say, where that is newer.

    Returns:
      Those that were.
    """
    newer: list[Change] = []
    for change in held.values():
        if not is_known(change):
            continue
        before = known.get(change.field)
        if before is None or not _is_older(change, before):
            known[change.field] = Known(change.value, change.event_time, change.sequence)
            newer.append(change)
    return newer


def _place(change: Change) -> tuple[int, str]:
    return (change.sequence, change.change_id)


def weigh(winners: Sequence[Change], known: dict[str, Known]) -> Settled:
    """Compares a prospect's winners with what it was last given; brings `known` up to date.

    What is older than the known value is superseded; what equals it is unchanged, unless it
    was refused or deferred before (`Change.retry`), for then nobody knows what the field holds.
    """
    settled = Settled([], [], [])
    for change in winners:
        before = known.get(change.field)
        if before is not None and _is_older(change, before):
            settled.superseded.append(change)
            continue
        if before is not None and before.value == change.value and not change.retry:
            settled.unchanged.append(change)
        else:
            settled.due.append(change)
        known[change.field] = Known(change.value, change.event_time, change.sequence)
    return settled


def _is_older(change: Change, before: Known) -> bool:
    if change.event_time is None or before.event_time is None:
        return change.sequence < before.sequence
    return (change.event_time, change.sequence) < (before.event_time, before.sequence)
