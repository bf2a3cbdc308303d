"""Where what look-ups find is kept: a ledger's directory, or the accounts of domains."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger.directory import accounts, entries
from transforms.directory import DirectoryEntry


class KeyStore(Protocol):
    """Keeps who has which natural key; all within a transaction of the caller's."""

    def store(self, page: Sequence[DirectoryEntry], read_at: int) -> None:
        """Takes in records as Outreach answered them; microseconds since the epoch."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """The records of each key that any is known to have."""

    def drop(self, stale: Iterable[tuple[str, int]]) -> None:
        """Takes keys from records that have them no more."""


class DirectoryKeys:
    """The directory of a ledger, which is of what the destination writes."""

    def __init__(self, ledger: sqlite3.Connection, settings: DirectorySettings) -> None:
        self._ledger = ledger
        self._settings = settings

    def store(self, page: Sequence[DirectoryEntry], read_at: int) -> None:
        """See `KeyStore`."""
        entries.store(self._ledger, page, read_at, hashed=self._settings.hashed)

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """See `KeyStore`."""
        settings = self._settings
        return entries.find(self._ledger, settings.match, keys, hashed=settings.hashed)

    def drop(self, stale: Iterable[tuple[str, int]]) -> None:
        """See `KeyStore`."""
        entries.drop_addresses(self._ledger, stale, hashed=self._settings.hashed)


class AccountKeys:
    """The accounts of domains, beside a directory of prospects."""

    def __init__(self, ledger: sqlite3.Connection) -> None:
        self._ledger = ledger

    def store(self, page: Sequence[DirectoryEntry], read_at: int) -> None:
        """See `KeyStore`."""
        accounts.store(self._ledger, page, read_at)

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """See `KeyStore`."""
        return accounts.find(self._ledger, keys)

    def drop(self, stale: Iterable[tuple[str, int]]) -> None:
        """See `KeyStore`."""
        accounts.drop(self._ledger, stale)
