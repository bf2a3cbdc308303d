"""How the directory is kept, and what of it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.destination.file import Destination
from transforms.matching import BY_ID, NaturalKey, natural_keys
from transforms.outreach.fields import OBJECTS, PROSPECT, OutreachObject
from transforms.plan import Plan
from transforms.relations import ACCOUNT_DOMAIN

MATCHED_REFRESH_MINUTES = 60.0
"""How often the directory is refreshed where prospects are matched by it, whatever else is said."""


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """How a ledger's directory is kept.

    Attributes:
      object: what is written, a prospect or an account.
      fields: the mapped fields that are read of each prospect.
      match: by what records name prospects.
      refresh_seconds: after which updates are read; 0 for never.
      full_seconds: after which everybody is read, to notice who is gone.
      hashed: whether addresses are kept as digests.
      check_seconds: in which every prospect is checked once; 0 for never.
      alert_percent: share of the values checked that may differ.
      creates: whether prospects that nobody has are created.
      at_once: whether nothing is waited for, as in a replay.
    """

    object: OutreachObject = OBJECTS[PROSPECT]
    fields: tuple[str, ...] = ()
    match: str = BY_ID
    refresh_seconds: float = 0.0
    full_seconds: float = 7 * 86_400.0
    hashed: bool = False
    check_seconds: float = 0.0
    alert_percent: float = 100.0
    creates: bool = False
    at_once: bool = False

    @classmethod
    def of(
        cls, destination: Destination, plan: Plan, *, at_once: bool = False
    ) -> DirectorySettings:
        """As a destination says."""
        directory = destination.directory
        minutes = directory.refresh_minutes
        if plan.match != BY_ID:
            minutes = minutes or MATCHED_REFRESH_MINUTES
        return cls(
            OBJECTS[plan.object],
            fields_of(plan),
            plan.match,
            minutes * 60.0,
            directory.full_days * 86_400.0,
            directory.hash,
            destination.reconcile.every_hours * 3600.0,
            destination.reconcile.alert_percent,
            destination.mode == "upsert",
            at_once,
        )

    @property
    def keys(self) -> Sequence[NaturalKey]:
        """The natural keys by which records name prospects; none where they name them otherwise."""
        return natural_keys(self.match)

    @property
    def believed_seconds(self) -> float:
        """For how long what the directory holds is taken for what Outreach does."""
        return 2 * self.refresh_seconds


def fields_of(plan: Plan) -> tuple[str, ...]:
    """The prospect fields that a plan writes, sorted; an account that it ties to is none."""
    written = {each.field for each in plan.audiences} | {each.target for each in plan.attributes}
    return tuple(sorted(written - {ACCOUNT_DOMAIN}))
