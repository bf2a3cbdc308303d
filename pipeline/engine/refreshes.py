"""Full refreshes over a ledger: pages are noted as they come in, and take effect together."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence

import orjson

from pipeline.engine.config import EngineConfig
from pipeline.ledger import guard, history, refresh, waiting
from pipeline.ledger.directory import entries, unresolved
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.elements import Block
from transforms.formats.attribute_paths import wanted
from transforms.formats.context import PLACE_BITS, RecordContext
from transforms.formats.platforms import mixpanel
from transforms.formats.platforms.mixpanel import RefreshPage
from transforms.formats.validation import Refused
from transforms.formats.values import loads
from transforms.mapping import Mapping

LOOK_SECONDS = 60.0
"""How often pages are looked for that are waited for in vain."""
_MARKS = (b'"action"', b'"members"', b'"parameters"')


class Refreshes:
    """Applies full refreshes within the transactions that take messages in.

    Args:
      config: of the loop.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._mapping = Mapping(config.plan)
        self._reading = config.plan.reading
        self._looked_at = float("-inf")

    def take_in(self, ledger: sqlite3.Connection, blocks: Sequence[Block], now: int) -> None:
        """Notes the pages that blocks hold, and applies what is complete by that."""
        noted = False
        for block in blocks:
            for page in self._pages(block):
                refresh.note(ledger, page, now if block.published is None else block.published)
                noted = True
        if noted:
            self.complete(ledger, now)

    def complete(self, ledger: sqlite3.Connection, now: int) -> None:
        """Applies what is complete, within a transaction of the caller's.

        Where members are named by something else than their ids, once it is known who they are.
        """
        for each in refresh.completed(
            ledger, lambda members: not unresolved.is_any_waiting(ledger, members)
        ):
            self.apply(ledger, each, now)

    def apply(self, ledger: sqlite3.Connection, whole: refresh.Refresh, now: int) -> int:
        """Has those leave who are not in a whole audience; returns how many.

        An audience that would be emptied, or that loses too many, is held for a person to decide,
        however small it is.
        """
        known = refresh.known_members(ledger, whole.segment)
        left = refresh.exits(whole, self._ids(ledger, whole), known, whole.published << PLACE_BITS)
        changes = self._mapping.map(left).changes
        if not changes:
            return 0
        terms = self._config.guard
        waiting.take_in(
            ledger,
            waiting.Intake(changes, [], LIVE),
            now,
            micros(self._config.hold_seconds),
        )
        guard.watch_exits(ledger, changes, terms, now)
        if not whole.members or len(changes) * 100 > terms.max_exit_percent * len(known):
            guard.hold(ledger, changes[0].segment or whole.segment, len(known), len(changes), now)
        history.add_totals(ledger, {"changes": len(changes)})
        return len(changes)

    def _ids(self, ledger: sqlite3.Connection, whole: refresh.Refresh) -> Collection[int]:
        ids = {each for each in whole.members if isinstance(each, int)}
        keys = [each for each in whole.members if isinstance(each, str)]
        settings = self._config.directory
        found = entries.find(ledger, settings.match, keys, hashed=settings.hashed)
        return ids.union(*found.values())

    def drop_stale(self, ledger: sqlite3.Connection, now: float) -> None:
        """Drops refreshes whose missing pages did not come; looks for them now and then."""
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        with transaction(ledger):
            refresh.drop_stale(ledger, micros(now - self._config.refresh_seconds))

    def _pages(self, block: Block) -> Iterable[RefreshPage]:
        if block.header is not None:
            return
        for line in block.lines:
            if not all(mark in line for mark in _MARKS):
                continue
            reading = RecordContext(block, self._config.plan.identity, wanted(()), 0, self._reading)
            try:
                value = loads(line)
                for record in value if type(value) is list else [value]:
                    page = mixpanel.refresh_page(record, reading) if type(record) is dict else None
                    if page is not None:
                        yield page
            except (orjson.JSONDecodeError, Refused):
                continue  # A dead letter says so.
