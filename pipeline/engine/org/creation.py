"""Creating what Outreach does not have yet: one request each, with all that waits for it.

Only who was just looked up and is unknown is created, and only where somebody enters or stays in an
audience, or for attributes alone: whoever only leaves need not be there. A prospect or an account
that somebody else has created meanwhile is answered 422 as a duplicate (Outreach's API reference),
and is looked up again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.account_links import AccountLinks
from pipeline.engine.org.posting import MOST_DUPLICATES, for_each, is_taken, post
from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger import history
from pipeline.ledger.directory import entries, unresolved
from pipeline.ledger.directory.unresolved import WaitingChange
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.directory import entry_of
from transforms.elements import DELIVERED, REJECTED, SUPERSEDED, Change, Outcome
from transforms.fold import Held, gather, settle
from transforms.formats.platforms.members import LEFT
from transforms.mapping import Mapping as PlanMapping
from transforms.matching import kind_of
from transforms.outreach.normalisation import is_same_value
from transforms.outreach.proof import NOT_KEPT
from transforms.outreach.requests.requester import Answer, Requester
from transforms.outreach.responses import Fate
from transforms.relations import ACCOUNT_DOMAIN, domains_in, held_by, relationships_of

_log = logging.getLogger(__name__)

CREATED = "created"
"""The reason of what was delivered by creating its prospect."""


def is_wanted(changes: Iterable[WaitingChange]) -> bool:
    """Whether a prospect is to be created for these changes of one address."""
    some = list(changes)
    winners, _ = _folded(each.change for each in some)
    memberships = [change for change in winners if change.segment is not None]
    enters = any(change.origin != LEFT for change in memberships)
    return bool(some) and (enters or not memberships) and all(each.gone is None for each in some)


class Creation:
    """Creates prospects.

    Args:
      ledger: a connection.
      config: of the engine.
      settings: of the directory.
      accounts: finds those that prospects are tied to.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        config: EngineConfig,
        settings: DirectorySettings,
        accounts: AccountLinks,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._settings = settings
        self._accounts = accounts
        self._mapping = PlanMapping(config.plan)
        self._duplicates: Counter[str] = Counter()

    def rehearse(self, key: str) -> None:
        """Counts what creating a prospect would deliver, within a caller's transaction."""
        now = micros(self._config.clock())
        changes = [each.change for each in unresolved.take(self._ledger, [key])]
        history.record(self._ledger, [Outcome(DELIVERED, changes, now, reason=CREATED)])
        history.add_totals(self._ledger, {"changes": len(changes)})

    async def create_all(self, requester: Requester, keys: Sequence[str]) -> None:
        """Creates the prospects of addresses that nobody has, some at a time.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`; who was not created waits on.
        """
        if self._config.relates:
            changes = [each.change for key in keys for each in unresolved.of_key(self._ledger, key)]
            await self._accounts.settle(requester, domains_in(changes))
        at_once = self._config.delivery.in_flight
        await for_each(keys, at_once, lambda key: self._create(requester, key))

    async def _create(self, requester: Requester, key: str) -> None:
        waiting = unresolved.of_key(self._ledger, key)
        winners, _ = _folded(each.change for each in waiting)
        if not winners or set(domains_in(winners)) - self._accounts.ids(winners).keys():
            return  # Its account is still to be found, and it waits for that.
        spelling = max((each.spelling for each in waiting), default="")
        answer = await self._post(requester, key, spelling, winners)
        if answer.verdict.fate is Fate.FIELD_REFUSED:
            if is_taken(answer):
                # Somebody has it by now, and is found by the next look-up; or is never shown.
                self._duplicates[key] += 1
                if self._duplicates[key] > MOST_DUPLICATES:
                    self._refuse(key, answer)
                return
            # Some value is refused: created without any, the prospect is patched as others are.
            answer = await self._post(requester, key, spelling, [])
            winners = []
        if answer.verdict.fate is not Fate.ACCEPTED:
            self._refuse(key, answer)
            return
        self._settle(requester.user, key, answer, {each.change_id for each in winners})

    async def _post(
        self, requester: Requester, key: str, spelling: str, changes: Sequence[Change]
    ) -> Answer:
        relationships = relationships_of(changes, self._accounts.ids(changes))
        attributes = self._attributes(key, spelling, changes)
        return await post(requester, self._settings.object, attributes, relationships)

    def _attributes(self, key: str, spelling: str, changes: Sequence[Change]) -> dict[str, Any]:
        """What a new record holds: its key, whatever changes say of that, and their values.

        Were its key another's, it would not be found again, and be created once more.
        """
        kind, title = kind_of(self._settings.keys, key), self._settings.object.title
        own: dict[str, Any] = {kind.attribute: kind.value(key, spelling)}
        if title is not None:
            own.setdefault(title, kind.text(key, spelling))
        fields: dict[str, Any] = {}
        for change in changes:
            value = orjson.loads(change.value)
            if change.field == kind.attribute and key not in kind.keys_in({change.field: value}):
                continue
            if change.field == ACCOUNT_DOMAIN or (change.field == title and not value):
                continue
            fields[change.field] = orjson.Fragment(change.value)
        return {**own, **fields}

    def _settle(self, user: str, key: str, answer: Answer, sent: set[str]) -> None:
        """Notes a prospect that was created, and what became of the changes that it carried.

        Those that it did not carry wait on: they are resolved now.
        """
        now = micros(self._config.clock())
        resource = orjson.loads(answer.reply.body)["data"]
        prospect = int(resource["id"])
        with transaction(self._ledger, durable=True):
            entry = entry_of(resource, self._settings.fields, self._settings.object)
            entries.store(self._ledger, [entry], now, hashed=self._settings.hashed)
            if not sent:
                return
            taken = unresolved.take(self._ledger, [key])
            user_of = self._mapping.user_of(prospect)
            named = [each.change._replace(outreach_id=prospect, user=user_of) for each in taken]
            winners, lost = _folded(named)
            held = held_by(resource, self._accounts.ids(winners))
            kept = [each for each in winners if _is_kept(each, held)]
            cut = [each for each in winners if each not in kept]
            status = answer.verdict.status
            outcomes = [
                Outcome(SUPERSEDED, lost, now),
                Outcome(DELIVERED, kept, now, reason=CREATED, http_status=status, user=user),
                Outcome(
                    REJECTED,
                    cut,
                    now,
                    reason=NOT_KEPT,
                    detail=f"the {self._settings.object.name} was created, and the field holds"
                    " something else",
                    http_status=status,
                    user=user,
                ),
            ]
            arrived = {each.change.change_id: each.arrived_at for each in taken}
            history.record(self._ledger, [each for each in outcomes if each.changes], arrived)
            history.know(self._ledger, kept, now)
            history.add_totals(self._ledger, {"changes": len(named)})

    def _refuse(self, key: str, answer: Answer) -> None:
        now = micros(self._config.clock())
        verdict = answer.verdict
        with transaction(self._ledger, durable=True):
            waiting = unresolved.take(self._ledger, [key])
            changes = [each.change for each in waiting]
            kind = kind_of(self._settings.keys, key)
            outcome = Outcome(
                REJECTED,
                changes,
                now,
                reason=verdict.reason,
                detail=f"the {self._settings.object.name} could not be created: {verdict.detail}",
                http_status=verdict.status,
                key=kind.text(key, max((each.spelling for each in waiting), default="")),
                match=kind.match,
            )
            history.record(self._ledger, [outcome])
            history.add_totals(self._ledger, {"changes": len(changes)})


def _folded(changes: Iterable[Change]) -> tuple[list[Change], list[Change]]:
    """Of one prospect's changes the newest of each field, and the others."""
    held: dict[int, Held] = {}
    lost = gather(held, changes)
    winners: list[Change] = []
    for slots in held.values():
        some, behind = settle(slots)
        winners += some
        lost += behind
    return winners, lost


def _is_kept(change: Change, held: dict[str, object]) -> bool:
    return change.field not in held or is_same_value(
        change.field, orjson.loads(change.value), held[change.field]
    )
