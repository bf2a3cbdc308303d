"""The accounts that prospects are to be tied to: found by their domains, or created.

Before anything of such a prospect is sent, so that the relationship goes in the same request.
Unknown domains are asked for together, and what was found is remembered for as long as the
directory goes without reading everybody. Freemail providers' domains are nobody's company.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import orjson

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.key_lookup import LOOK_SECONDS, QUERY_BYTES, KeyLookup, size_of
from pipeline.engine.org.key_stores import AccountKeys
from pipeline.engine.org.posting import MOST_DUPLICATES, for_each, is_taken, post
from pipeline.engine.org.pull import PAGE_SIZE
from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger import history
from pipeline.ledger.directory import accounts, unresolved
from pipeline.ledger.directory.unresolved import WaitingKey
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.directory import entry_of
from transforms.elements import FREEMAIL, REJECTED, UNCHANGED, Change, Outcome
from transforms.matching import BY_DOMAIN, DOMAIN, LONGEST_NAME, kind_of
from transforms.outreach.fields import OBJECTS
from transforms.outreach.requests.requester import Requester
from transforms.outreach.responses import Fate
from transforms.relations import ACCOUNT, ACCOUNT_DOMAIN, Accounts, domains_in, is_freemail

ACCOUNT_UNKNOWN = "account_unknown"
ACCOUNT_AMBIGUOUS = "account_ambiguous"
_REFUSED = "field_refused"
_TIDY_SECONDS = 3_600.0
_REHEARSED = 0
"""The id of any account where nothing is asked for."""


def look_ups(domains: Iterable[str]) -> Iterator[list[WaitingKey]]:
    """The domains that each request asks for."""
    some: list[WaitingKey] = []
    size = 0
    for domain in domains:
        key = WaitingKey(domain, 0, None, None, "")
        takes = size_of(DOMAIN, key)
        if some and (size + takes > QUERY_BYTES or len(some) == PAGE_SIZE // 2):
            yield some
            some, size = [], 0
        some.append(key)
        size += takes
    if some:
        yield some


class AccountLinks:
    """Finds the accounts of domains.

    Args:
      ledger: a connection.
      config: of the engine.
      settings: of the directory, which is of prospects.
    """

    def __init__(
        self, ledger: sqlite3.Connection, config: EngineConfig, settings: DirectorySettings
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._settings = settings
        self._kind = OBJECTS[ACCOUNT]
        of_accounts = replace(settings, object=self._kind, fields=(), match=BY_DOMAIN, hashed=False)
        self._lookup = KeyLookup(ledger, config, of_accounts, AccountKeys(ledger))
        self._duplicates: Counter[str] = Counter()
        self._tidied_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether any prospect waits for its account."""
        return self._config.relates and bool(accounts.wanted(self._ledger))

    def to_ask(self) -> list[str]:
        """The domains whose accounts are to be found now; those of freemail providers are not."""
        if not self._config.relates:
            return []
        now = micros(self._config.clock())
        wanted = accounts.wanted(self._ledger)
        left = set(self._pass_over([domain for domain, _ in wanted]))
        wanted = [each for each in wanted if each[0] in left]
        patience = 0 if self._settings.at_once else micros(LOOK_SECONDS)
        # What was not waited for long goes along: a request asks for many.
        is_due = any(now - since >= patience for _, since in wanted)
        return [domain for domain, _ in wanted] if is_due else []

    async def settle(self, requester: Requester, domains: Sequence[str]) -> None:
        """Finds or creates the accounts of domains, or gives up the changes that name them.

        A domain that is taken and not found yet is neither: it is asked for again.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`; all waits on.
          ActivationError: Outreach refuses to look anybody up.
        """
        known = accounts.find(self._ledger, domains)
        asked = [each for each in self._pass_over(domains) if each not in known]
        for some in look_ups(asked):
            await self._lookup.ask(requester, some)
        found = accounts.find(self._ledger, asked)
        for domain, ids in found.items():
            if len(ids) > 1:
                self._refuse(
                    domain,
                    ACCOUNT_AMBIGUOUS,
                    f"{len(ids)} accounts have the domain {domain}; merge them in Outreach, and"
                    " replay this",
                )
        missing = [each for each in asked if each not in found]
        if self._settings.creates:
            at_once = self._config.delivery.in_flight
            await for_each(missing, at_once, lambda each: self._create(requester, each))
            return
        for domain in missing:
            self._refuse(
                domain,
                ACCOUNT_UNKNOWN,
                f"Outreach has no account with the domain {domain}, or none that the user may"
                " see; replay this once there is one, or write mode: upsert to have it created",
            )

    def ids(self, changes: Iterable[Change]) -> Accounts:
        """The accounts that changes name, of those that are known."""
        found = accounts.find(self._ledger, domains_in(changes))
        return {domain: ids[0] for domain, ids in found.items()}

    def prepare(self) -> None:
        """Forgets what was seen long ago, before anything is sent by it.

        Where nothing is asked for, every account is taken for found or created.
        """
        now = self._config.clock()
        if not self._config.relates:
            return
        if self._config.dry_run:
            wanted = self._pass_over([domain for domain, _ in accounts.wanted(self._ledger)])
            with transaction(self._ledger):
                for domain in wanted:
                    accounts.note(self._ledger, domain, _REHEARSED, micros(now))
        elif now >= self._tidied_at + _TIDY_SECONDS:
            self._tidied_at = now
            with transaction(self._ledger):
                accounts.forget_older(self._ledger, micros(now - self._settings.full_seconds))

    def revise(self, outcomes: Sequence[Outcome]) -> None:
        """Forgets accounts that were refused, within a caller's transaction: they may be gone."""
        refused = [each for each in outcomes if each.reason == _REFUSED]
        accounts.forget(
            self._ledger, domains_in(change for each in refused for change in each.changes)
        )

    async def _create(self, requester: Requester, domain: str) -> None:
        name = accounts.company(self._ledger, domain)
        attributes = {
            DOMAIN.attribute: domain,
            "name": name if 0 < len(name) <= LONGEST_NAME else domain,
        }
        answer = await post(requester, self._kind, attributes)
        if is_taken(answer):
            self._duplicates[domain] += 1
            if self._duplicates[domain] <= MOST_DUPLICATES:
                return
        verdict = answer.verdict
        if verdict.fate is not Fate.ACCEPTED:
            detail = f"the account {domain} could not be created: {verdict.detail}"
            self._refuse(domain, verdict.reason, detail, verdict.status)
            return
        entry = entry_of(orjson.loads(answer.reply.body)["data"], (), self._kind)
        with transaction(self._ledger, durable=True):
            # By the domain that was asked for, however Outreach writes it down.
            accounts.note(self._ledger, domain, entry.outreach_id, micros(self._config.clock()))

    def _pass_over(self, domains: Sequence[str]) -> list[str]:
        """Leaves the accounts of prospects as they are whose domain is a freemail provider's."""
        passed = [each for each in domains if is_freemail(each)]
        for domain in passed:
            self._end(
                domain,
                Outcome(
                    UNCHANGED,
                    (),
                    micros(self._config.clock()),
                    reason=FREEMAIL,
                    detail=f"{domain} is a freemail provider's, and no account's",
                ),
            )
        return [each for each in domains if each not in passed]

    def _refuse(self, domain: str, reason: str, detail: str, status: int | None = None) -> None:
        now = micros(self._config.clock())
        self._end(domain, Outcome(REJECTED, (), now, reason, detail, status))

    def _end(self, domain: str, outcome: Outcome) -> None:
        """Gives all changes that name a domain their outcome, and forgets whose it is."""
        value = orjson.dumps(domain).decode()
        with transaction(self._ledger, durable=True):
            accounts.forget(self._ledger, [domain])
            outcomes = [outcome._replace(changes=accounts.take(self._ledger, domain))]
            nameless = unresolved.take_field(self._ledger, ACCOUNT_DOMAIN, value)
            for each in nameless:
                kind = kind_of(self._settings.keys, each.key)
                key = kind.text(each.key, each.spelling)
                outcomes.append(outcome._replace(changes=[each.change], key=key, match=kind.match))
            history.record(self._ledger, [each for each in outcomes if each.changes])
            history.add_totals(self._ledger, {"changes": len(nameless)})
