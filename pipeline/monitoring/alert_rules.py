"""Decides which conditions need a person, from a snapshot; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from pipeline.ledger.guard import HeldAudience
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.oversight.alerts import Condition
from pipeline.ledger.queries.snapshot import Snapshot, User
from transforms.clock import micros
from transforms.elements import DELIVERED, REJECTED
from transforms.times import format_time

PAUSED: Final = "paused"
BUDGET: Final = "budget"
REFUSED: Final = "refused"
LATE: Final = "late"
MASS_EXIT: Final = "mass_exit"
DRIFT: Final = "drift"
KINDS: Final = (PAUSED, BUDGET, REFUSED, LATE, MASS_EXIT, DRIFT)
"""What can need a person; `docs/operations.md` says what to do about each."""

QUIET_SECONDS: Final = {BUDGET: 300.0, REFUSED: 300.0, LATE: 300.0}
"""What is measured and not decided may hover at its threshold: over when gone for so long."""

WITHHELD_SHARE: Final = 0.05
"""Of the allowance, spent by others: less is how two counts of one window differ at its ends."""
REFUSED_SHARE: Final = 0.2
"""Of an hour's answers: prospects that were deleted or merged are a few in a hundred."""
REFUSED_LEAST: Final = 20
"""Below this a share says little."""
LATE_SECONDS: Final = 2 * 3600.0
"""An hour's wait is the budget's way; after two, more arrives than it carries."""


def conditions(standing: Snapshot, ledger: str) -> list[Condition]:
    """All that needs a person now.

    Args:
      standing: how things stand.
      ledger: its path, for the commands that mend something.
    """
    held = [each for each in standing.held if each.released_at is None]
    return [
        *(
            Condition(PAUSED, user.name, f"paused: {user.paused}; {_waiting(user)}")
            for user in standing.users
            if user.paused
        ),
        *_spent_by_others(standing),
        *_refused(standing),
        *_late(standing),
        *(Condition(MASS_EXIT, each.segment, describe(each, ledger)) for each in held),
        *_drifted(standing, ledger),
    ]


def _spent_by_others(standing: Snapshot) -> Iterator[Condition]:
    for user in standing.users:
        if user.allowance is None or user.paused or user.available or user.more_at is None:
            continue
        if user.prospects and user.withheld >= WITHHELD_SHARE * user.allowance:
            own = user.allowance - user.withheld
            yield Condition(
                BUDGET,
                user.name,
                f"user {user.name!r}: Outreach allows no more requests before"
                f" {format_time(micros(round(user.more_at)))}, though we spent {own:,} of our"
                f" {user.allowance:,}: other tools of this user spend the rest; {_waiting(user)}."
                " Have them spend less, or raise this user's reserve, or add a user",
            )


def _refused(standing: Snapshot) -> Iterator[Condition]:
    refused = standing.lately.get(REJECTED, 0)
    answered = refused + standing.lately.get(DELIVERED, 0)
    if refused >= REFUSED_LEAST and refused > REFUSED_SHARE * answered:
        reasons = sorted({each["reason"] for each in standing.errors if each["stage"] == "deliver"})
        lately = f" (of late: {', '.join(reasons)})" if reasons else ""
        yield Condition(
            REFUSED,
            "",
            f"Outreach refused {refused:,} of the last hour's {answered:,} changes{lately}."
            " The dead letters say why; mend the destination file or the prospects, and replay"
            " them",
        )


def _late(standing: Snapshot) -> Iterator[Condition]:
    held = {each.segment for each in standing.held if each.released_at is None}
    # Oldest first, so that the oldest of each user is the one that stays.
    unheld = {
        each.user: each.oldest_at for each in reversed(standing.waiting) if each.segment not in held
    }
    for user in standing.users:
        live = next((lane for lane in user.lanes if lane.lane == LIVE), None)
        if live is None or user.paused or user.name not in unheld:
            continue
        # A prospect whose audience is held waits for a person, who was asked already.
        oldest_at = max(live.oldest_at, unheld[user.name])
        if standing.at - oldest_at > LATE_SECONDS:
            since = format_time(micros(round(oldest_at)))
            yield Condition(
                LATE,
                user.name,
                f"user {user.name!r}: changes wait since {since}; {_waiting(user)}. More arrives"
                " than the budget carries, or Outreach does not answer: status says which",
            )


def _drifted(standing: Snapshot, ledger: str) -> Iterator[Condition]:
    found = standing.org.drift
    if found is None or not found.get("alert"):
        return
    fields = ", ".join(
        f"{each['field']} {each['different']:,}" for each in found["audiences"] if each["different"]
    )
    yield Condition(
        DRIFT,
        "",
        f"{found['percent']:g} % of what Outreach was checked for is not what it should be"
        f" ({fields}). Somebody edits these fields, or another tool writes them; to see and repair"
        f" it: outreach-activation reconcile --destination PATH --ledger {quote(ledger)}",
    )


def _waiting(user: User) -> str:
    return f"{user.prospects:,} prospects wait"


def describe(held: HeldAudience, ledger: str) -> str:
    """What a person is asked about a held audience, with the command that lets it go."""
    return f"{question(held)} {command(held, ledger)}"


def question(held: HeldAudience) -> str:
    """What a person is asked about a held audience; the command that lets it go is to follow."""
    return (
        f"audience {held.name}: {held.exits:,} of its {held.members:,} known members leave at"
        " once, so it is held. If they are meant to leave, let it go:"
    )


def would_be_held(held: HeldAudience) -> str:
    """What a rehearsal found out about an audience that is not held yet."""
    return (
        f"audience {held.name}: {held.exits:,} of its {held.members:,} known members would leave"
        " at once, so it would be held until a person lets it go"
    )


def command(held: HeldAudience, ledger: str) -> str:
    """The command that lets an audience go."""
    return f"outreach-activation release {quote(held.segment)} --ledger {quote(ledger)}"
