"""Whom addresses and other keys are: what waits for a prospect is found, looked up, or given up.

The directory answers first. Addresses that it does not know are asked for together, soon after
they came; and once more after the next refresh, for a prospect may only be on its way. What is
unknown then, or known more than once, becomes dead letters.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.account_links import AccountLinks
from pipeline.engine.org.creation import Creation, is_wanted
from pipeline.engine.org.key_lookup import LOOK_SECONDS, QUERY_BYTES, KeyLookup
from pipeline.engine.org.pull import PAGE_SIZE
from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger import guard, history, waiting
from pipeline.ledger.directory import entries, pulls, unresolved
from pipeline.ledger.directory.unresolved import WaitingChange, WaitingKey
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.directory import DirectoryEntry
from transforms.elements import REJECTED, SUPERSEDED, Change, Outcome, Unresolved
from transforms.mapping import Mapping as PlanMapping
from transforms.mapping import Misfit
from transforms.matching import kind_of
from transforms.outreach.requests.requester import Requester
from transforms.stages.refuse_unresolved import refused

_NEVER = -1


class Identities:
    """Finds the prospects of changes that wait for them.

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
        self._mapping = PlanMapping(config.plan)
        self._creation = Creation(ledger, config, settings, accounts)
        self._lookup = KeyLookup(ledger, config, settings)
        self._resolved_as_of: int | None = _NEVER

    @property
    def waits(self) -> bool:
        """Whether any change waits for its prospect."""
        return bool(self._ledger.execute("SELECT EXISTS (SELECT 1 FROM unresolved)").fetchone()[0])

    def resolve(self) -> None:
        """Takes in what waits and is known by now, since the directory was refreshed."""
        found = pulls.state(self._ledger)
        fresh_at = None if found is None else found.fresh_at
        if fresh_at == self._resolved_as_of:
            return
        last = ""
        while some := unresolved.keys(self._ledger, last):
            last = some[-1].key
            known = self._find([each.key for each in some])
            named = [each.key for each in some if len(known.get(each.key, ())) == 1]
            if named:
                with transaction(self._ledger):
                    self._take_in(unresolved.take(self._ledger, named), known)
        self._resolved_as_of = fresh_at

    def to_ask(self) -> list[WaitingKey]:
        """The addresses to be asked for now; as many as one request asks for, if there are so many.

        Where nothing can be asked for, as by an external id, what no refresh found is given up.
        """
        found = pulls.state(self._ledger)
        fresh_at = 0 if found is None or found.fresh_at is None else found.fresh_at
        now = micros(self._config.clock())
        asked: list[WaitingKey] = []
        size, last = 0, ""
        while some := unresolved.keys(self._ledger, last):
            last = some[-1].key
            for each in some:
                if not self._is_due(each, fresh_at, now):
                    continue
                size += self._lookup.size_of(each)
                if asked and (size > QUERY_BYTES or len(asked) == PAGE_SIZE // 2):
                    return asked
                asked.append(each)
        return asked

    async def look_up(self, requester: Requester, asked: Sequence[WaitingKey]) -> None:
        """Asks for keys, corrects the directory, and takes in or gives up what waits for them.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`; all waits on.
          ActivationError: Outreach refuses to look anybody up.
        """
        unasked = await self._lookup.ask(requester, asked) if self._settings.keys else ()
        with transaction(self._ledger):
            unresolved.looked(self._ledger, list(unasked), micros(self._config.clock()))
        missing = self.decide(
            [each for each in asked if each.key not in unasked or self._is_last(each)]
        )
        try:
            await self._creation.create_all(requester, missing)
        finally:
            # Whoever is still missing is looked up again, and created then if it is nobody's.
            with transaction(self._ledger):
                unresolved.looked(self._ledger, missing, None)
        if missing:
            self._resolved_as_of = _NEVER
            self.resolve()

    def decide(self, asked: Sequence[WaitingKey]) -> list[str]:
        """Takes in what is known by now, and gives up what was to be found by now.

        Returns:
          Keys of prospects that are to be created.
        """
        now = micros(self._config.clock())
        known = self._find([each.key for each in asked])
        settled: list[str] = []
        missing: list[str] = []
        with transaction(self._ledger):
            for each in asked:
                found = known.get(each.key, ())
                if not found and self._is_to_be_created(each.key):
                    missing.append(each.key)
                elif found or self._is_last(each):
                    settled.append(each.key)
            self._take_in(unresolved.take(self._ledger, settled), known)
            unresolved.looked(self._ledger, [each.key for each in asked], now)
        return missing

    def give_up(self) -> None:
        """Makes dead letters of all that waits and is not known: nothing is asked for."""
        last = ""
        while some := unresolved.keys(self._ledger, last):
            last = some[-1].key
            keys = [each.key for each in some]
            known = self._find(keys)
            with transaction(self._ledger):
                for key in keys:
                    if key not in known and self._is_to_be_created(key):
                        self._creation.rehearse(key)
                self._take_in(unresolved.take(self._ledger, keys), known)

    def revise(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Has changes wait again whose prospect is gone; within a transaction of the caller's.

        A merged prospect's address is another's by now, and is looked up once.

        Returns:
          The other outcomes.
        """
        if not self._settings.keys or self._settings.hashed:
            return outcomes
        kept: list[Outcome] = []
        for outcome in outcomes:
            gone = outcome.outcome == REJECTED and outcome.reason == "not_found"
            if not (gone and outcome.changes and self._wait_again(outcome.changes)):
                kept.append(outcome)
        return kept

    def _wait_again(self, changes: Sequence[Change]) -> bool:
        prospect = changes[0].outreach_id
        entry = next(entries.by_id(self._ledger, [prospect]), None)
        key = None if entry is None else self._key_of(entry)
        if key is None:
            return False
        now = micros(self._config.clock())
        again = waiting.leave(self._ledger, changes)
        history.add_totals(self._ledger, {"changes": -len(again)})
        entries.remove(self._ledger, [prospect])
        anonymous = {
            change._replace(outreach_id=0, user=""): arrived_at
            for change, arrived_at in again.items()
        }
        unresolved.put(
            self._ledger,
            [Unresolved(key, list(anonymous), 0)],
            0,
            now,
            gone=prospect,
            arrived_at=anonymous.__getitem__,
        )
        return True

    def _key_of(self, entry: DirectoryEntry) -> str | None:
        """The best of the keys that a prospect was known by."""
        keys = self._settings.keys
        return next(
            (
                key
                for kind in keys
                for key in entry.emails
                if key.startswith(kind.prefix) and kind_of(keys, key) is kind
            ),
            None,
        )

    def _is_to_be_created(self, key: str) -> bool:
        return self._settings.creates and is_wanted(unresolved.of_key(self._ledger, key))

    def _is_due(self, key: WaitingKey, fresh_at: int, now: int) -> bool:
        if self._settings.at_once:
            return True
        if key.looked_at is None and self._settings.keys:
            return now - key.received_at >= micros(LOOK_SECONDS)
        return fresh_at > key.received_at and fresh_at > (key.looked_at or 0)

    def _is_last(self, key: WaitingKey) -> bool:
        if key.gone is not None:
            return True
        found = pulls.state(self._ledger)
        fresh_at = 0 if found is None or found.fresh_at is None else found.fresh_at
        return self._settings.at_once or fresh_at > key.received_at

    def _find(self, keys: Sequence[str]) -> dict[str, list[int]]:
        settings = self._settings
        return entries.find(self._ledger, settings.match, keys, hashed=settings.hashed)

    def _take_in(
        self, changes: Sequence[WaitingChange], known: Mapping[str, Sequence[int]]
    ) -> None:
        """Maps changes whose prospects are known, and refuses the others."""
        now = micros(self._config.clock())
        by_lane: dict[int, list[Change]] = {}
        arrived: dict[Change, int] = {}
        outcomes: list[Outcome] = []
        for each in changes:
            found = known.get(each.key, ())
            outcome = self._refusal(each, found, now)
            if outcome is not None:
                outcomes.append(outcome)
                continue
            change = each.change._replace(
                outreach_id=found[0], user=self._mapping.user_of(found[0])
            )
            match self._mapping.again(change):
                case None:
                    outcomes.append(Outcome(SUPERSEDED, [change], now, reason="unmapped"))
                case Misfit() as misfit:
                    outcomes.append(
                        Outcome(
                            REJECTED,
                            [misfit.change],
                            now,
                            reason="value_invalid",
                            detail=misfit.detail,
                        )
                    )
                case Change() as mapped:
                    by_lane.setdefault(each.lane, []).append(mapped)
                    arrived[mapped] = each.arrived_at
        history.record(self._ledger, outcomes)
        for lane, some in by_lane.items():
            waiting.take_in(
                self._ledger,
                waiting.Intake(some, [], lane, arrived.__getitem__),
                now,
                micros(self._config.hold_seconds),
                self._config.believed_since(now),
            )
            guard.watch_exits(self._ledger, some, self._config.guard, now)
        history.add_totals(self._ledger, {"changes": len(changes)})

    def _refusal(self, each: WaitingChange, found: Sequence[int], now: int) -> Outcome | None:
        settings = self._settings
        if each.gone is not None and (not found or found[0] == each.gone):
            return Outcome(
                REJECTED,
                [each.change._replace(outreach_id=each.gone)],
                now,
                reason="not_found",
                detail=f"Outreach has no such {settings.object.name} any more, and none with its"
                f" {kind_of(settings.keys, each.key).what}",
                http_status=404,
            )
        if len(found) != 1:
            unknown = Unresolved(each.key, [each.change], len(found), each.spelling)
            return refused(unknown, settings.match, now, settings.object.name)
        return None
