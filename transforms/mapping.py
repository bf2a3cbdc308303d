"""What goes where: segment to field, attribute to field, prospect to Outreach user.

Pure rules without Beam; `transforms.stages.map` is the stage around them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson

from transforms.elements import FROM_RECEIPT, KEYED, AttributeChange, Change, MembershipChange
from transforms.outreach.fields import OBJECTS, fit
from transforms.plan import Attribute, Audience, OutreachUser, Plan, canonical
from transforms.relations import ACCOUNT_DOMAIN, fit_domain

__all__ = ["Attribute", "Audience", "Mapped", "Mapping", "Misfit", "OutreachUser", "Plan"]


class Misfit(NamedTuple):
    """A change whose value its field cannot hold, and why; it is never sent."""

    change: Change
    detail: str


class Mapped(NamedTuple):
    """What became of some arrivals: `changes` and `misfits` together are all changes.

    Attributes:
      changes: of fields.
      misfits: those that their field cannot hold.
      unmapped: memberships of no audience, and attributes of dead letters that are mapped no more.
      segments: of the memberships among those, and how often each came.
    """

    changes: list[Change]
    misfits: list[Misfit]
    unmapped: int
    segments: dict[str, int]


class Write(NamedTuple):
    """What a membership writes: a field, JSON text, and its audience's segment as mapped."""

    field: str
    value: str
    segment: str


class Mapping:
    """A `Plan`, ready for look-ups."""

    def __init__(self, plan: Plan) -> None:
        self._users = plan.users
        self._fields = OBJECTS[plan.object].fields
        self._targets: dict[str, list[str]] = {}
        for attribute in plan.attributes:
            self._targets.setdefault(attribute.source, []).append(attribute.target)
        self._by_pair: dict[tuple[str, str], Audience] = {}
        self._by_segment: dict[str, Audience] = {}
        named: dict[str, list[Audience]] = {}
        for audience in plan.audiences:
            segment = canonical(audience.segment)
            if audience.namespace is None:
                self._by_segment[segment] = audience
            else:
                self._by_pair[audience.namespace, segment] = audience
                named.setdefault(segment, []).append(audience)
        # A flat record need not name a namespace where only one audience has its segment.
        self._unnamed = {segment: found[0] for segment, found in named.items() if len(found) == 1}
        self._writes: dict[tuple[str | None, str, str], Write | None] = {}

    def audience(self, namespace: str | None, segment: str) -> Audience | None:
        """The audience a membership belongs to, if the plan has it."""
        segment = canonical(segment)
        if namespace is None:
            return self._by_segment.get(segment) or self._unnamed.get(segment)
        return self._by_pair.get((namespace, segment)) or self._by_segment.get(segment)

    def user_of(self, outreach_id: int) -> str:
        """The one user by whom this prospect's patches go.

        Weighted rendezvous hashing: stable over runs and machines, and adding a user
        moves only the prospects that the new one takes.
        """
        if len(self._users) == 1:
            return self._users[0].name
        return max(self._users, key=lambda user: (_score(user, outreach_id), user.name)).name

    def map(
        self,
        memberships: Iterable[MembershipChange],
        attributes: Iterable[AttributeChange] = (),
    ) -> Mapped:
        """Changes of fields, from changes of memberships and attributes."""
        changes: list[Change] = []
        misfits: list[Misfit] = []
        unmapped = 0
        segments: dict[str, int] = {}
        writes = self._writes
        user_of = self.user_of
        for arrival, prospect, namespace, segment, status, time, sequence, retry in memberships:
            key = (namespace, segment, status)
            try:
                write = writes[key]
            except KeyError:
                write = writes[key] = self.write(namespace, segment, status)
            if write is None:
                segments[segment] = segments.get(segment, 0) + 1
                continue
            field, value, segment = write  # noqa: PLW2901 - as the destination spells it
            changes.append(
                Change(
                    f"{arrival}-{field}" if KEYED in arrival else f"{arrival}-{prospect}-{field}",
                    prospect,
                    user_of(prospect),
                    field,
                    value,
                    segment,
                    namespace,
                    status,
                    time,
                    sequence,
                    retry,
                )
            )
        for attribute in attributes:
            targets = self._targets.get(attribute.source)
            if targets is None and attribute.source.startswith(FROM_RECEIPT):
                changes.append(self._change(attribute, attribute.source.removeprefix(FROM_RECEIPT)))
                continue
            if targets is None:
                unmapped += 1
                continue
            for target in targets:
                self._map_attribute(attribute, target, changes, misfits)
        return Mapped(changes, misfits, unmapped + sum(segments.values()), segments)

    def write(self, namespace: str | None, segment: str, status: str) -> Write | None:
        """Returns what a membership writes to which field; None if it is not mapped."""
        audience = self.audience(namespace, segment)
        if audience is None:
            return None
        return Write(audience.field, dict(audience.values)[status], audience.segment)

    def look_alike(self, segment: str) -> Audience | None:
        """The audience that an unmapped segment was probably meant for; None where none is near.

        It has the same segment under another namespace, or one that differs in capitals, in blanks
        or in a prefix only.
        """
        for audience in (*self._by_segment.values(), *self._by_pair.values()):
            if _is_alike(segment, audience.segment):
                return audience
        return None

    def targets(self, source: str) -> Sequence[str]:
        """The fields that a profile attribute is written to; none where it is not mapped."""
        return self._targets.get(source, ())

    def again(self, change: Change) -> Change | Misfit | None:
        """A change as an earlier plan mapped it, mapped as this plan says.

        Its id becomes the one that its record would give it now.

        Returns:
          None where this plan does not map it; a misfit where its field cannot hold its value.
        """
        if change.segment is not None:
            write = self.write(change.namespace, change.segment, change.origin)
            return None if write is None else _moved(change, write.field, write.value)
        targets = self.targets(change.origin)
        if not targets or change.field in targets:
            return change if targets else None
        return self._fitted(_moved(change, targets[0], change.value))

    def _map_attribute(
        self,
        attribute: AttributeChange,
        target: str,
        changes: list[Change],
        misfits: list[Misfit],
    ) -> None:
        fitted = self._fitted(self._change(attribute, target))
        if isinstance(fitted, Misfit):
            misfits.append(fitted)
        else:
            changes.append(fitted)

    def _change(self, attribute: AttributeChange, field: str) -> Change:
        """The change of one field that an attribute asks for, or that a receipt knows of."""
        return Change(
            change_id=f"{attribute.arrival_id}-{attribute.outreach_id}-{field}",
            outreach_id=attribute.outreach_id,
            user=self.user_of(attribute.outreach_id),
            field=field,
            value=attribute.value,
            segment=None,
            namespace=None,
            origin=attribute.source,
            event_time=attribute.event_time,
            sequence=attribute.sequence,
            retry=attribute.retry,
        )

    def _fitted(self, change: Change) -> Change | Misfit:
        """The change with its value as its field takes it."""
        try:
            given = orjson.loads(change.value)
            if change.field == ACCOUNT_DOMAIN:
                value: object = fit_domain(given)
            else:
                value = fit(self._fields[change.field], given)
        except ValueError as misfit:
            return Misfit(change, str(misfit))
        return change._replace(value=orjson.dumps(value).decode())


def _is_alike(segment: str, mapped: str) -> bool:
    one, other = segment.strip().casefold(), mapped.strip().casefold()
    longer, shorter = max(one, other, key=len), min(one, other, key=len)
    prefix = longer.removesuffix(shorter)
    return one == other or (bool(shorter) and longer != prefix and prefix[-1:] in set(":/.|-_#@ "))


def _moved(change: Change, field: str, value: str) -> Change:
    arrival = change.change_id.removesuffix(f"-{change.field}")
    return change._replace(change_id=f"{arrival}-{field}", field=field, value=value)


def _score(user: OutreachUser, outreach_id: int) -> float:
    digest = blake2b(f"{user.name}/{outreach_id}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    return -user.weight / math.log(uniform)
