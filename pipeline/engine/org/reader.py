"""Keeping the directory fresh and finding whom changes are for, beside the deliveries."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipeline.engine.config import EngineConfig
from pipeline.engine.inquiries import Inquiries
from pipeline.engine.org.account_links import AccountLinks
from pipeline.engine.org.identities import Identities
from pipeline.engine.org.pull import DirectoryPull
from pipeline.engine.org.rotation import RotatingCheck
from pipeline.ledger import inbox
from pipeline.ledger.directory import entries
from pipeline.ledger.directory.unresolved import WaitingKey
from transforms.elements import Outcome
from transforms.errors import ActivationError, ConfigurationError
from transforms.matching import BY_ID
from transforms.outreach.requests.requester import NotNow, Requester

_log = logging.getLogger(__name__)

PAGES_AT_ONCE = 20
"""Requests of a pull that are debited together."""
REFUSED_SECONDS = 3_600.0
"""After which it is tried again to read what Outreach does not let us read."""
LOOK_AGAIN_SECONDS = 5.0
"""How often it is looked whether anybody is to be looked up."""


@dataclass(slots=True)
class _Rest:
    """Until when something that Outreach refuses is not tried again."""

    until: float = -math.inf
    was_refused: bool = False


class OrgReader:
    """Reads the org, a little at a time; each step is durable.

    Args:
      ledger: a connection, used by one thread at a time.
      config: of the engine.
      inquiries: asks Outreach.
    """

    def __init__(
        self, ledger: sqlite3.Connection, config: EngineConfig, inquiries: Inquiries
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._settings = config.directory
        self._inquiries = inquiries
        self.accounts = AccountLinks(ledger, config, config.directory)
        self._identities = Identities(ledger, config, config.directory, self.accounts)
        self._rest, self._rest_of_accounts = _Rest(), _Rest()
        self._check = RotatingCheck(ledger, config)
        self.pull = DirectoryPull(ledger, config.directory, config.clock)

    def revise(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Has changes wait again whose prospect is gone; see `Identities.revise`."""
        self.accounts.revise(outcomes)
        return self._identities.revise(outcomes)

    @property
    def is_waited_for(self) -> bool:
        """Whether changes wait for their prospects to be found."""
        return self._settings.match != BY_ID and self._identities.waits

    def tend(self, *, may_pull: bool) -> bool:
        """Does what is due, for a turn at most; returns whether anything was done.

        Args:
          may_pull: whether nothing live waits for the budget.
        """
        if self._config.dry_run:
            return False
        busy = self._find_accounts()
        if self._config.clock() < self._rest.until:
            return busy
        busy |= self._settings.match != BY_ID and self._find_prospects()
        if may_pull and not self._settings.at_once and self._config.clock() >= self.pull.due_at():
            busy |= self._attempt(self._read_pages)
        if may_pull and not self._settings.at_once and self._config.clock() >= self._check.due_at():
            busy |= self._attempt(lambda: self._inquiries.run(1, self._check.step))
        return busy

    def refresh(self, stopped: Callable[[], bool], *, full: bool = False) -> bool:
        """Reads pages of a pull now, for as long as can be; returns whether it has come to its end.

        Raises:
          CredentialError, ActivationError: it cannot be read before a person mends something.
        """
        if not self.pull.under_way or full:
            self.pull.begin(full=full)
        while self.pull.under_way and not stopped():
            try:
                self._inquiries.run(
                    PAGES_AT_ONCE,
                    lambda requester: self.pull.pages(requester, lambda: not stopped()),
                )
            except NotNow:
                return False
        return not self.pull.under_way

    def give_up(self) -> None:
        """Makes dead letters of what waits and is not known, where nothing is asked for.

        Raises:
          ConfigurationError: there is no directory at all.
        """
        if self._settings.match == BY_ID:
            return
        if not entries.is_kept(self._ledger):
            raise ConfigurationError(
                f"prospects are matched by {self._settings.match}, and nothing is known of them"
                " yet; read them first: outreach-activation pull --destination PATH --ledger PATH"
            )
        self._identities.give_up()

    def next_at(self) -> float:
        """When there is something to do again, in seconds since the epoch; infinity for never."""
        if self._config.dry_run:
            return math.inf
        at = math.inf
        if not self._settings.at_once:
            at = min(self.pull.due_at(), self._check.due_at())
        now = self._config.clock()
        soon = now if self._settings.at_once else now + LOOK_AGAIN_SECONDS
        if self.is_waited_for:
            at = min(at, soon)
        at = max(at, self._rest.until)
        if self.accounts.waits:
            at = min(at, max(soon, self._rest_of_accounts.until))
        return max(at, self._inquiries.next_at()) if at <= now else at

    def ask(self, requests: int, work: Callable[[Requester], Awaitable[None]]) -> None:
        """Has requests made; as of `Inquiries.run`."""
        self._inquiries.run(requests, work)

    def next_request_at(self) -> float:
        """When a request can be made again, in seconds since the epoch."""
        return self._inquiries.next_at()

    def _find_prospects(self) -> bool:
        self._identities.resolve()
        busy = False
        while asked := self._identities.to_ask():
            if not self._attempt(lambda: self._look_up(asked)):
                break
            busy = True
            if not self._settings.at_once:
                break
        return busy

    def _find_accounts(self) -> bool:
        """Finds the accounts that prospects wait for.

        Raises:
          CredentialError: no user may look for them, and nothing else is left to be done.
        """
        rest = self._rest_of_accounts
        domains = self.accounts.to_ask() if self._config.clock() >= rest.until else []
        if not domains:
            return False

        async def settle(requester: Requester) -> None:
            await self.accounts.settle(requester, domains)

        return self._attempt(lambda: self._inquiries.run(1, settle), rest)

    def _look_up(self, asked: Sequence[WaitingKey]) -> None:
        if not self._settings.keys:
            self._identities.decide(asked)
            return

        async def look_up(requester: Requester) -> None:
            await self._identities.look_up(requester, asked)

        self._inquiries.run(1, look_up)

    def _read_pages(self) -> None:
        ends = self._config.clock() + self._config.turn_seconds
        full = self.pull.begin()
        _log.debug("reading %s", "all prospects" if full else "the prospects updated since")
        self._inquiries.run(
            PAGES_AT_ONCE,
            lambda requester: self.pull.pages(requester, lambda: self._has_leisure(ends)),
        )

    def _has_leisure(self, until: float) -> bool:
        """Whether to go on reading: until a time, and while nothing has arrived."""
        return self._config.clock() < until and not inbox.is_any_unread(self._ledger)

    def _attempt(self, work: Callable[[], None], rest: _Rest | None = None) -> bool:
        """Does it; returns False where it cannot be done at present."""
        rest = rest or self._rest
        try:
            work()
        except NotNow:
            return False
        except ActivationError as problem:
            if self._settings.at_once:
                raise  # Nobody would be there to hear of it in an hour.
            if not rest.was_refused:
                _log.warning(
                    "the org cannot be read, and it is tried again every %d minutes: %s",
                    REFUSED_SECONDS / 60,
                    problem,
                )
            rest.was_refused = True
            rest.until = self._config.clock() + REFUSED_SECONDS
            return False
        rest.was_refused = False
        return True
