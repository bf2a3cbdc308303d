"""What conditions of the destination keep out of what was read: nothing of it is written.

A change that was refused once and is replayed has passed them, and has not the attributes of its
record any more: it is not looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from transforms.conditions import Condition
from transforms.elements import AttributeChange, Exclusion, MembershipChange
from transforms.formats.context import RecordContext
from transforms.plan import Reading, canonical

_EMPTY = frozenset({"null", '""', "[]"})


def exclude(
    reading: RecordContext, rules: Reading
) -> tuple[Sequence[MembershipChange], Sequence[AttributeChange], list[Exclusion]]:
    """What is left of a block's changes, and what was kept out.

    Args:
      reading: after the last record.
      rules: with the conditions.
    """
    found: list[Exclusion] = []

    def passes(
        change: MembershipChange | AttributeChange, conditions: Sequence[Condition], what: str
    ) -> bool:
        if change.retry or not conditions:
            return True
        find = reading.facts.get((change.sequence, change.outreach_id), {}).get
        return _pass(reading, change, conditions, what, find, found)

    general = rules.conditions_of(None, None)
    of_segments: dict[tuple[str | None, str], Sequence[Condition]] = {}
    memberships: list[MembershipChange] = []
    for membership in reading.memberships:
        key = (membership.namespace, membership.segment)
        if key not in of_segments:
            mapped = canonical(membership.segment) in rules.segments
            of_segments[key] = rules.conditions_of(*key) if mapped else ()
        if passes(membership, of_segments[key], membership.segment):
            memberships.append(membership)
    attributes: list[AttributeChange] = []
    for attribute in reading.attributes:
        if attribute.source in rules.kept_if_empty and attribute.value in _EMPTY:
            found.append(
                _excluded(reading, attribute, attribute.source, "it is empty (empty: keep)")
            )
        elif passes(attribute, general, attribute.source):
            attributes.append(attribute)
    return memberships, attributes, found


def _pass(
    reading: RecordContext,
    change: MembershipChange | AttributeChange,
    conditions: Sequence[Condition],
    what: str,
    find: Callable[[str], object],
    found: list[Exclusion],
) -> bool:
    for condition in conditions:
        if not condition.holds(partial(find)):
            found.append(_excluded(reading, change, what, f"only_if: {condition}"))
            return False
    return True


def _excluded(
    reading: RecordContext, change: MembershipChange | AttributeChange, what: str, why: str
) -> Exclusion:
    status = change.status if isinstance(change, MembershipChange) else ""
    prospect = str(reading.key_of(change.outreach_id))
    return Exclusion(prospect, what, status, change.event_time, why)
