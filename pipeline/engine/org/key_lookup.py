"""Asking Outreach who has a natural key, many keys with one request, and correcting the directory.

Values of a filter are parted by commas (Outreach's API reference, "Filtering"). A name with a comma
in it is asked for in the newer syntax, in which each value is a parameter of its own.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from pipeline.engine.config import EngineConfig
from pipeline.engine.org.key_stores import DirectoryKeys, KeyStore
from pipeline.engine.org.pull import page_query, read_page
from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger.directory.unresolved import WaitingKey
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.errors import ActivationError
from transforms.matching import NaturalKey, kind_of
from transforms.outreach.requests.requester import Requester
from transforms.outreach.responses import Classification, Fate

_log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""After which keys that are not known are asked for, in company."""
QUERY_BYTES = 6_000
"""Of keys in one request: many servers refuse a request line of more than 8 KB."""
_IDS_AT_ONCE = 500
_APART = (",", "..")
"""What would make several values, or a range, of a value in a list."""


class _Query(NamedTuple):
    """Of one request: its filter, whose keys it asks for, and whether it may be refused."""

    text: str
    keys: list[str]
    is_plain: bool


class KeyLookup:
    """Looks up the records that have natural keys.

    Args:
      ledger: a connection.
      config: of the engine.
      settings: of the directory, which matches by natural keys.
      key_store: where what is found is kept; the directory where none is given.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        config: EngineConfig,
        settings: DirectorySettings,
        key_store: KeyStore | None = None,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._settings = settings
        self._key_store = key_store or DirectoryKeys(ledger, settings)

    def size_of(self, key: WaitingKey) -> int:
        """How many bytes of a request it takes to ask for a key."""
        keys = self._settings.keys
        if not keys:
            return len(quote(key.key)) + 1
        return size_of(kind_of(keys, key.key), key)

    async def ask(self, requester: Requester, asked: Sequence[WaitingKey]) -> Collection[str]:
        """Asks for keys, and corrects the directory.

        Returns:
          Those that cannot be asked for: the next refresh decides.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`.
          ActivationError: Outreach refuses to look anybody up.
        """
        there: set[int] = set()
        unasked: set[str] = set()
        for query in self._queries(asked):
            found = await self._read(requester, query.text)
            if isinstance(found, Classification):
                if query.is_plain:
                    raise ActivationError(
                        f"Outreach does not look up {self._settings.object.plural} by"
                        f" {self._settings.match} ({found.detail})"
                    )
                _log.warning(
                    "%d names with a comma cannot be asked for (%s); a refresh of the directory"
                    " finds them",
                    len(query.keys),
                    found.detail,
                )
                unasked.update(query.keys)
            else:
                there |= found
        await self._drop_others(
            requester, [each.key for each in asked if each.key not in unasked], there
        )
        return unasked

    def _queries(self, asked: Iterable[WaitingKey]) -> Iterator[_Query]:
        listed: dict[NaturalKey, tuple[list[str], list[str]]] = {}
        apart: dict[NaturalKey, tuple[list[str], list[str]]] = {}
        for each in asked:
            kind = kind_of(self._settings.keys, each.key)
            spelled = _spelled(kind, each)
            is_apart = any(mark in one for mark in _APART for one in spelled)
            keys, texts = (apart if is_apart else listed).setdefault(kind, ([], []))
            keys.append(each.key)
            texts += spelled
        for kind, (keys, texts) in listed.items():
            values = ",".join(quote(text, safe="") for text in texts)
            yield _Query(f"filter%5B{kind.attribute}%5D={values}", keys, is_plain=True)
        for kind, (keys, texts) in apart.items():
            values = "&".join(
                f"filter%5B{kind.attribute}%5D%5B%5D={quote(text, safe='')}" for text in texts
            )
            yield _Query(f"newFilterSyntax=true&{values}", keys, is_plain=False)

    async def _read(self, requester: Requester, query: str) -> set[int] | Classification:
        """Takes what a filter finds into the directory; returns whom, or why it is refused."""
        settings = self._settings
        asked_at = micros(self._config.clock())
        found: set[int] = set()
        following: str | None = f"{settings.object.path}?{query}&{page_query(settings)}"
        while following is not None:
            answer = await requester.ask(following)
            if answer.verdict.fate is not Fate.ACCEPTED:
                return answer.verdict
            page, following = read_page(answer, settings)
            found.update(each.outreach_id for each in page)
            with transaction(self._ledger):
                self._key_store.store(page, asked_at)
        return found

    async def _drop_others(
        self, requester: Requester, keys: Sequence[str], there: Collection[int]
    ) -> None:
        """Whoever had one of the keys and is not in the answer has it no more, or is gone.

        Unless it has the key in another spelling, which only reading it by its id tells.
        """
        settings = self._settings
        known = self._key_store.find(keys)
        stale = {
            (key, record)
            for key, records in known.items()
            for record in records
            if record not in there
        }
        doubtful = sorted(
            {record for key, record in stale if not kind_of(settings.keys, key).is_exact}
        )
        seen = set(there)
        for start in range(0, len(doubtful), _IDS_AT_ONCE):
            ids = ",".join(str(each) for each in doubtful[start : start + _IDS_AT_ONCE])
            found = await self._read(requester, f"filter%5Bid%5D={ids}")
            seen |= found if isinstance(found, set) else set(doubtful)
        gone = {(key, record) for key, record in stale if record not in seen}
        with transaction(self._ledger):
            self._key_store.drop(gone)


def size_of(kind: NaturalKey, key: WaitingKey) -> int:
    """How many bytes of a request it takes to ask for a key of a kind."""
    return sum(len(quote(each)) + 1 for each in _spelled(kind, key))


def _spelled(kind: NaturalKey, key: WaitingKey) -> Sequence[str]:
    return kind.asked(kind.text(key.key, key.spelling))
