"""How a user's patches are to be delivered, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.errors import CredentialError
from transforms.outreach.fields import PROSPECT


@dataclass(frozen=True, slots=True)
class Delivery:
    """How patches are sent.

    Attributes:
      in_flight: requests a user may have unanswered at once. Outreach documents no limit.
      give_up_seconds: how long a patch may meet nothing but server trouble.
      lanes: over how many keys an unbounded run splits each user's queue and budget.
      object: that is written, ``prospect`` or ``account``.
      if_empty: fields that are written only where they hold nothing; they are read first.

    Raises:
      ValueError: there is no lane, or not one request in flight for each.
    """

    in_flight: int = 16
    give_up_seconds: float = 24 * 3600.0
    lanes: int = 1
    if_empty: frozenset[str] = frozenset()
    object: str = PROSPECT

    def __post_init__(self) -> None:
        if not 1 <= self.lanes <= self.in_flight:
            raise ValueError(
                f"{self.in_flight} requests in flight cannot be shared among {self.lanes} lanes"
            )


@dataclass(frozen=True, slots=True)
class UserProgress:
    """What a sender is doing, for people and for metrics.

    Attributes:
      user: name of the Outreach user.
      waiting: prospects in the queue, those in flight apart.
      troubled: of them, those that wait to be tried again.
      in_flight: requests without an answer.
      ended: prospects of which all is decided.
      requests: sent so far.
      throttled: answers of 429 so far.
      throttled_seconds: spent with work to send and nothing allowed.
      available: requests the budget would allow now.
      allowance: requests the budget allows in its window.
      resumes_at: when waiting ends, seconds since the epoch; None if that is not known, or if
        it does not wait.
      waits_for: why it waits; empty if it does not, or only for an answer.
      paused: what is wrong with the user's credential, if it is paused.
      troubled_since: since when requests have met nothing but trouble; None where they do not.
      gives_up_at: when the first change that met it becomes a dead letter.
    """

    user: str
    waiting: int
    troubled: int
    in_flight: int
    ended: int
    requests: int
    throttled: int
    throttled_seconds: float
    available: int
    allowance: int
    resumes_at: float | None
    waits_for: str
    paused: CredentialError | None
    troubled_since: float | None = None
    gives_up_at: float | None = None
