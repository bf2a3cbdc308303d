"""Comparing what each mapped field should hold with what Outreach holds.

Outreach itself is asked, some hundreds of prospects with one request, and not the directory: what
is to be proved must not rest on what is remembered. The answers correct the directory.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.pull import page_query, read_page
from pipeline.ledger import history, waiting
from pipeline.ledger.directory import drift, entries
from pipeline.ledger.directory.drift import Expected
from pipeline.ledger.inbox import LIVE
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.directory import DirectoryEntry
from transforms.elements import Change
from transforms.errors import ActivationError
from transforms.mapping import Mapping as PlanMapping
from transforms.outreach.normalisation import is_same_value
from transforms.outreach.requests.requester import Requester
from transforms.outreach.responses import Fate
from transforms.relations import ACCOUNT_DOMAIN

EXAMPLES = 10
"""Differences that are shown of each field."""
EDITED, UNDELIVERED = "edited", "undelivered"


@dataclass(slots=True)
class FieldDrift:
    """What was found of one field.

    Attributes:
      segment: the audience's; None for a profile attribute.
      field: such as ``custom4``.
      same: prospects that hold what they should.
      different: prospects that hold something else.
      gone: prospects that are not there any more.
      edited: of the different, those that were delivered and changed by somebody since.
      undelivered: of the different, those whose last change was refused or deferred.
      examples: some of the different and the gone.
    """

    segment: str | None
    field: str
    same: int = 0
    different: int = 0
    gone: int = 0
    edited: int = 0
    undelivered: int = 0
    examples: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {name: getattr(self, name) for name in self.__slots__}


class Reconciler:
    """Compares, and has the right values sent.

    Args:
      ledger: a connection.
      config: of the engine.
    """

    def __init__(self, ledger: sqlite3.Connection, config: EngineConfig) -> None:
        self._ledger = ledger
        self._config = config
        self._mapping = PlanMapping(config.plan)
        self.found: dict[str, FieldDrift] = {
            **{
                a.target: FieldDrift(None, a.target)
                for a in config.plan.attributes
                if a.target != ACCOUNT_DOMAIN
            },
            **{a.field: FieldDrift(a.segment, a.field) for a in config.plan.audiences},
        }
        self.different: list[Expected] = []

    def resume(self, found: Mapping[str, Any]) -> None:
        """Goes on counting from what was found before."""
        for each in found.get("audiences", ()):
            if each["field"] in self.found:
                self.found[each["field"]] = FieldDrift(**each)

    def as_json(self) -> dict[str, Any]:
        """What was found, for a program."""
        shown = [each for each in self.found.values() if each.same or each.different or each.gone]
        empty = [each for each in self.found.values() if each not in shown and each.segment]
        ordered = sorted([*shown, *empty], key=lambda each: list(self.found).index(each.field))
        return {"audiences": [each.as_json() for each in ordered]}

    async def check(self, requester: Requester, prospects: Sequence[int]) -> None:
        """Reads prospects with one request, and compares.

        Args:
          requester: asks.
          prospects: as many as one request can ask for, at most.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`.
          ActivationError: Outreach does not let them be read.
        """
        asked_at = micros(self._config.clock())
        answer = await requester.ask(
            f"{self._config.directory.object.path}?filter%5Bid%5D={','.join(map(str, prospects))}"
            f"&{page_query(self._config.directory)}"
        )
        if answer.verdict.fate is not Fate.ACCEPTED:
            raise ActivationError(
                f"Outreach does not let {self._config.directory.object.plural} be read"
                f" ({answer.verdict.detail})"
            )
        page, _ = read_page(answer, self._config.directory)
        with transaction(self._ledger):
            if entries.is_kept(self._ledger):
                hashed = self._config.directory.hashed
                entries.store(self._ledger, page, asked_at, hashed=hashed)
                entries.remove(self._ledger, set(prospects) - {each.outreach_id for each in page})
        self._compare(prospects, page)

    def repair(self) -> int:
        """Has the right values sent where others are held; returns how many.

        They wait as changes of the time that they had: whatever is newer goes before them.
        """
        now = micros(self._config.clock())
        changes = [change for each in self.different if (change := self._change(each, now))]
        if changes:
            with transaction(self._ledger):
                waiting.take_in(self._ledger, waiting.Intake(changes, [], LIVE), now, 0)
                history.add_totals(self._ledger, {"changes": len(changes)})
        self.different.clear()
        return len(changes)

    def _compare(self, prospects: Sequence[int], page: Iterable[DirectoryEntry]) -> None:
        held = {each.outreach_id: orjson.loads(each.fields) for each in page}
        for each in drift.expected(self._ledger, prospects, list(self.found)):
            counts = self.found[each.field]
            if counts.segment is not None and each.segment not in (None, counts.segment):
                continue  # Another audience wrote it, which is not mapped there any more.
            should = orjson.loads(each.value)
            if each.outreach_id not in held:
                counts.gone += 1
                self._example(counts, each, "gone", None)
                continue
            holds = held[each.outreach_id].get(each.field)
            if is_same_value(each.field, should, holds):
                counts.same += 1
                continue
            counts.different += 1
            cause = EDITED if each.delivered else UNDELIVERED
            setattr(counts, cause, getattr(counts, cause) + 1)
            self.different.append(each)
            self._example(counts, each, cause, holds)

    def _example(self, counts: FieldDrift, each: Expected, cause: str, holds: object) -> None:
        if len(counts.examples) < EXAMPLES:
            counts.examples.append(
                {
                    "outreach_id": each.outreach_id,
                    "should": orjson.loads(each.value),
                    "holds": holds,
                    "cause": cause,
                }
            )

    def _change(self, each: Expected, now: int) -> Change | None:
        """The change that puts a field right; None where it is not known what it came from."""
        origin = each.origin or self._status(each)
        if origin is None:
            return None
        return Change(
            f"repair-{now}-{each.outreach_id}-{each.field}",
            each.outreach_id,
            self._mapping.user_of(each.outreach_id),
            each.field,
            each.value,
            each.segment,
            None,
            origin,
            each.event_time,
            each.sequence,
            retry=True,
        )

    def _status(self, each: Expected) -> str | None:
        """The status that writes a value, for an audience's change that was never accepted."""
        audience = self._mapping.audience(None, each.segment) if each.segment else None
        values = () if audience is None else audience.values
        return next((status for status, value in values if value == each.value), None)
