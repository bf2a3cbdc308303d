"""What prospects hold, read with few requests: before a batch, and after it.

Outreach does not tell what became of each prospect of a batch, so that only reading them proves
it (its API reference: an item has no relationship to its prospect).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import orjson

from pipeline.engine.org.pull import PAGE_SIZE
from pipeline.ledger import history
from pipeline.ledger.bulk import batches, members
from pipeline.ledger.bulk.batches import BULK, ENDED, PLANNED
from pipeline.ledger.bulk.members import Member
from pipeline.ledger.directory import entries
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.elements import DELIVERED, REJECTED, UNCHANGED, Outcome
from transforms.outreach.fields import OutreachObject
from transforms.outreach.normalisation import is_same_value
from transforms.outreach.read_before_write import ReadBeforeWrite, read_values
from transforms.outreach.requests.requester import Requester
from transforms.outreach.responses import Classification, Fate

_URL_BYTES = 7_900
"""Of a request for prospects: many servers refuse a request line of more than 8 KB."""
_FIELDS = 20
"""Attributes that a request may ask for besides."""

Revise = Callable[[Sequence[Outcome]], Sequence[Outcome]]


class ReadBack:
    """Reads the prospects of a user's batches and settles what they hold.

    Args:
      ledger: a connection.
      clock: seconds since the epoch.
      kind: what is written.
      revise: see `pipeline.engine.org.identities.Identities.revise`.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        clock: Callable[[], float],
        kind: OutreachObject,
        revise: Revise,
    ) -> None:
        self._object = kind
        self._ledger = ledger
        self._clock = clock
        self._revise = revise
        self._reading = ReadBeforeWrite()

    async def before(self, requester: Requester, numbers: Sequence[int]) -> None:
        """Looks who of planned batches holds the value already; seldom, where it is vain.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`.
        """
        ids = {each for number in numbers for each in members.members(self._ledger, number)}
        for some in packed(sorted(ids), _FIELDS):
            if not self._reading.is_worth_it(len(some)):
                continue
            found = members.members_of(self._ledger, some, (PLANNED,))
            held, verdict = await self._read(requester, some, found)
            same = [each for each in found if _holds(each, held)]
            with transaction(self._ledger):
                changes = [each.change for each in same if each.change is not None]
                now = micros(self._clock())
                outcome = Outcome(
                    UNCHANGED, changes, now, http_status=verdict.status, user=requester.user
                )
                history.settle_sent(self._ledger, [outcome])
                members.leave(self._ledger, same, (), 0)
            self._reading.learn(verdict, len(same))
        with transaction(self._ledger):
            for number in numbers:
                batches.mark_read(self._ledger, number)

    async def after(self, requester: Requester) -> bool:
        """Reads prospects whose batches have ended, and settles what became of them.

        Returns:
          Whether anybody was read.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`.
        """
        prospects = members.readable(self._ledger, requester.user)
        for some in packed(prospects, _FIELDS):
            found = members.members_of(self._ledger, some, (ENDED,))
            held, verdict = await self._read(requester, some, found)
            if verdict.fate is Fate.ACCEPTED:
                self._settle(requester.user, found, held, verdict)
            else:  # It cannot be proved: each goes alone.
                with transaction(self._ledger):
                    members.leave(self._ledger, found, (), 0)
        return bool(prospects)

    def _settle(
        self,
        user: str,
        found: Sequence[Member],
        held: dict[int, dict[str, object]],
        verdict: Classification,
    ) -> None:
        now = micros(self._clock())
        kept = [each for each in found if _holds(each, held)]
        gone = [each for each in found if each.outreach_id not in held]
        delivered = [each.change for each in kept if each.change is not None]
        missing = [each.change for each in gone if each.change is not None]
        outcomes = [
            Outcome(DELIVERED, delivered, now, reason=BULK, http_status=verdict.status, user=user),
            *(
                Outcome(
                    REJECTED,
                    [change],
                    now,
                    reason="not_found",
                    detail="a bulk action found no such prospect, and neither does a look",
                    user=user,
                )
                for change in missing
            ),
        ]
        with transaction(self._ledger, durable=True):
            # Whose change is settled waits no more; whoever holds something else goes alone.
            members.leave(self._ledger, found, kept, len({each.outreach_id for each in gone}))
            revised = self._revise([each for each in outcomes if each.changes])
            history.settle_sent(self._ledger, revised)
            entries.correct(self._ledger, revised)

    async def _read(
        self, requester: Requester, some: Sequence[int], found: Sequence[Member]
    ) -> tuple[dict[int, dict[str, object]], Classification]:
        fields = sorted({each.field for each in found}) or ["updatedAt"]
        answer = await requester.ask(
            f"{self._object.path}?filter%5Bid%5D={','.join(map(str, some))}"
            f"&fields%5B{self._object.name}%5D={quote(','.join(fields), safe=',')}"
            f"&page%5Bsize%5D={PAGE_SIZE}&count=false"
        )
        values = read_values(answer.reply.body) if answer.verdict.fate is Fate.ACCEPTED else {}
        return {prospect: dict(each) for prospect, each in values.items()}, answer.verdict


def packed(prospects: Sequence[int], fields: int) -> Iterator[list[int]]:
    """Prospects in parts that one request can ask for.

    Args:
      prospects: any number.
      fields: about how many attributes are asked for, besides.
    """
    room = _URL_BYTES - 10 * fields
    some: list[int] = []
    size = 0
    for prospect in prospects:
        length = len(str(prospect)) + 1
        if some and (size + length > room or len(some) == PAGE_SIZE):
            yield some
            some, size = [], 0
        some.append(prospect)
        size += length
    if some:
        yield some


def _holds(member: Member, held: dict[int, dict[str, object]]) -> bool:
    values = held.get(member.outreach_id)
    return (
        values is not None
        and member.field in values
        and is_same_value(member.field, orjson.loads(member.value), values[member.field])
    )
