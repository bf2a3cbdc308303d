"""How things stand: what waits, who may spend what, what went wrong.

Times are seconds since the epoch. `pipeline.ledger.queries.snapshot_reader` reads it from a ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipeline.ledger.guard import HeldAudience
from pipeline.ledger.inbox import BACKFILL, LIVE
from pipeline.ledger.queries.org import OrgStanding

LANES: Final = {LIVE: "live", BACKFILL: "backfill"}
"""What the lanes are called."""


class Waiting(NamedTuple):
    """Changes of one audience that wait for one user.

    Attributes:
      segment: of the audience; None for profile attributes.
      user: name of the Outreach user by whom they go.
      changes: how many.
      oldest_at: when the oldest of them arrived.
    """

    segment: str | None
    user: str
    changes: int
    oldest_at: float


class Lane(NamedTuple):
    """Prospects that wait in one lane for one user.

    Attributes:
      user: name of the Outreach user.
      lane: `LIVE` or `BACKFILL`.
      prospects: how many, and so how many requests at most.
      oldest_at: since when the first of them waits.
    """

    user: str
    lane: int
    prospects: int
    oldest_at: float


@dataclass(frozen=True, slots=True)
class User:
    """One Outreach user.

    Attributes:
      name: in the destination file.
      allowance: requests in a window; None where the destination names the user no longer.
      available: requests allowed now.
      withheld: requests that our own spends would allow and the server does not.
      more_at: when more than these are allowed; None where that is all there is.
      paused: why nothing of this user's is sent, and what mends it; None where it is not.
      paused_at: since when.
      empty_at: when the last of what waits may be sent; None where that cannot be said.
      lanes: what waits.
      changes: how many wait.
    """

    name: str
    allowance: int | None
    available: int
    withheld: int
    more_at: float | None
    paused: str | None
    paused_at: float | None
    empty_at: float | None
    lanes: Sequence[Lane]
    changes: int

    @property
    def prospects(self) -> int:
        """That wait, in all lanes."""
        return sum(lane.prospects for lane in self.lanes)


class Alert(NamedTuple):
    """An alert that was sent and is not over."""

    kind: str
    subject: str
    text: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How things stand.

    Attributes:
      at: when this was read.
      waiting: by audience and user, oldest first.
      users: of the destination, and others for whom something waits, in the order of names.
      names: of the audiences, by segment.
      held: audiences that are held, or were until a release that still lasts.
      messages: that arrived and were not taken in.
      oldest_message_at: when the first of them arrived.
      lately: changes of the last hour, by outcome.
      errors: the last dead letters, newest first, as they are written out.
      alerts: that are not over.
      totals: ever counted, by name.
      org: what is known of the org besides.
    """

    at: float
    waiting: Sequence[Waiting]
    users: Sequence[User]
    names: Mapping[str, str]
    held: Sequence[HeldAudience]
    messages: int
    oldest_message_at: float | None
    lately: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]
    alerts: Sequence[Alert]
    totals: Mapping[str, int] = field(default_factory=dict)
    org: OrgStanding = field(default_factory=lambda: OrgStanding(None, (), None))

    @property
    def changes(self) -> int:
        """That wait."""
        return sum(each.changes for each in self.waiting)

    @property
    def oldest_at(self) -> float | None:
        """When the oldest change that waits arrived."""
        return min((each.oldest_at for each in self.waiting), default=None)

    @property
    def empty_at(self) -> float | None:
        """When nothing will wait any more, at the earliest; None where that cannot be said."""
        ends = [user.empty_at for user in self.users if user.changes]
        if any(each.released_at is None for each in self.held) or None in ends:
            return None
        return max((end for end in ends if end is not None), default=self.at)

    def changes_of(self, segment: str) -> int:
        """That wait of one audience."""
        return sum(each.changes for each in self.waiting if each.segment == segment)

    def audience(self, segment: str | None) -> str:
        """What to call an audience."""
        return "profile attributes" if segment is None else self.names.get(segment, segment)
