"""A ledger's directory as the resolve stage looks it up."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pipeline.ledger.directory.entries import find
from pipeline.ledger.store import BUSY_SECONDS


@dataclass(frozen=True, slots=True)
class LedgerLookup:
    """Finds prospects in a ledger's directory; a `transforms.directory.LookupSource`.

    Attributes:
      path: of the ledger.
      match: by what they are known.
      hashed: whether addresses are kept as digests.
    """

    path: str
    match: str
    hashed: bool = False

    def open(self) -> OpenLookup:
        """The look-up, by a connection of its own that only reads."""
        connection = sqlite3.connect(
            f"file:{quote(self.path)}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        return OpenLookup(connection, self)


@dataclass(frozen=True, slots=True)
class OpenLookup:
    """See `LedgerLookup`."""

    connection: sqlite3.Connection
    source: LedgerLookup

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """See `transforms.directory.Lookup`."""
        return find(self.connection, self.source.match, keys, hashed=self.source.hashed)

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()
