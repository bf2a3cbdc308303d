"""Reading the org into the directory: 1,000 prospects a request, then only what was updated.

Outreach lists prospects in pages that a cursor links (its API reference, "Pagination"); the sort
is its own. `updatedAt` is to the second and told by Outreach's clock, so that two pulls overlap.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from pipeline.engine.org.settings import DirectorySettings
from pipeline.ledger.directory import entries, pulls
from pipeline.ledger.store import transaction
from transforms.clock import micros
from transforms.directory import DirectoryEntry, entry_of
from transforms.errors import ActivationError
from transforms.outreach.requests.requester import Answer, Requester
from transforms.outreach.responses import Fate

_log = logging.getLogger(__name__)

PAGE_SIZE = 1_000


class DirectoryPull:
    """Reads prospects into a ledger's directory, page by page, each a durable step.

    Args:
      ledger: a connection.
      settings: what is read, and how it is kept.
      clock: seconds since the epoch.
      told: is called after each page with how many prospects were read so far.
    """

    def __init__(
        self,
        ledger: sqlite3.Connection,
        settings: DirectorySettings,
        clock: Callable[[], float],
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self.told = told
        self.read = 0

    @property
    def under_way(self) -> bool:
        """Whether a pull was begun that has not come to its end."""
        found = pulls.state(self._ledger)
        return found is not None and found.next_page is not None

    def due_at(self) -> float:
        """When the next pull is due, in seconds since the epoch; infinity for never."""
        found = pulls.state(self._ledger)
        if found is None or found.fresh_at is None or self._is_outgrown(found):
            return 0.0 if self._settings.refresh_seconds else float("inf")
        if found.next_page is not None:
            return 0.0
        if not self._settings.refresh_seconds:
            return float("inf")
        return found.fresh_at / 1e6 + self._settings.refresh_seconds

    def begin(self, *, full: bool = False) -> bool:
        """Begins a pull, or goes on with the one under way; returns whether it reads everybody.

        Everybody is read where nobody was yet, where the destination maps another field since,
        and where the last time is `full_days` ago.

        Args:
          full: read everybody whatever was read before.
        """
        settings, found = self._settings, pulls.state(self._ledger)
        now = micros(self._clock())
        if settings.hashed and found is not None and not found.hashed:
            with transaction(self._ledger):
                pulls.hash_addresses(self._ledger)
        outgrown = found is None or self._is_outgrown(found)
        goes_on = found is not None and found.next_page is not None and not outgrown
        if found is not None and goes_on and (found.is_full or not full):
            return found.is_full
        aged = (
            found is None
            or found.full_at is None
            or now - found.full_at >= micros(settings.full_seconds)
        )
        full = full or outgrown or aged or found is None or found.since is None
        query = page_query(settings)
        if not full and found is not None and found.since is not None:
            query += f"&filter%5BupdatedAt%5D={quote(_instant(found.since - pulls.OVERLAP))}..inf"
        with transaction(self._ledger):
            pulls.begin(
                self._ledger,
                settings.fields,
                f"{settings.object.path}?{query}",
                now,
                is_full=full,
                hashed=settings.hashed,
            )
        return full

    async def pages(self, requester: Requester, goes_on: Callable[[], bool]) -> None:
        """Reads pages until there are no more, or there is something better to do.

        Raises:
          NotNow, CredentialError: as of `Requester.ask`; what was read is kept.
          ActivationError: Outreach refuses to list prospects.
        """
        while (found := pulls.state(self._ledger)) is not None and found.next_page is not None:
            answer = await requester.ask(found.next_page)
            if answer.verdict.fate is not Fate.ACCEPTED:
                self._refused(answer, is_first=not found.requests)
                return
            asked_at = micros(self._clock())
            page, next_page = read_page(answer, self._settings)
            with transaction(self._ledger):
                entries.store(self._ledger, page, asked_at, hashed=self._settings.hashed)
                there = micros(server_time(answer.reply.headers, self._clock()))
                pulls.advance(self._ledger, next_page, there)
            self.read += len(page)
            self.told(self.read)
            if not goes_on():
                return

    def _is_outgrown(self, found: pulls.PullState) -> bool:
        """Whether other fields are to be read than were, or addresses that were not kept.

        A record that has a title has a key: where no entry has any, none were read.
        """
        settings = self._settings
        missing = set(settings.fields) - set(found.fields)
        if missing or (found.hashed and not settings.hashed):
            return True
        has_keys = bool(settings.keys) and settings.object.title is not None
        return has_keys and found.next_page is None and entries.lacks_keys(self._ledger)

    def _refused(self, answer: Answer, *, is_first: bool) -> None:
        with transaction(self._ledger):
            pulls.give_up(self._ledger)
        if is_first:
            raise ActivationError(
                f"Outreach does not list its prospects ({answer.verdict.detail}); without that"
                " there is no directory"
            )
        _log.warning(
            "the next page of prospects is refused (%s); they are read from the start again",
            answer.verdict.detail,
        )


def page_query(settings: DirectorySettings) -> str:
    """The end of a list request's query: what is read of each record, a page at a time."""
    names = dict.fromkeys((*settings.object.listed, *settings.fields))
    fields = quote(",".join(names), safe=",")
    return f"fields%5B{settings.object.name}%5D={fields}&page%5Bsize%5D={PAGE_SIZE}&count=false"


def read_page(
    answer: Answer, settings: DirectorySettings
) -> tuple[list[DirectoryEntry], str | None]:
    """The entries of a page, and the path of the next one; None after the last.

    Raises:
      ActivationError: it holds no prospects.
    """
    try:
        document = orjson.loads(answer.reply.body)
        page = [entry_of(each, settings.fields, settings.object) for each in document["data"]]
        links: Mapping[str, Any] = document.get("links") or {}
        following = links.get("next")
    except (KeyError, TypeError, ValueError) as error:
        raise ActivationError(
            f"a page of prospects cannot be read ({error!r}); this is a bug to report"
        ) from None
    if not following:
        return page, None
    parts = urlsplit(str(following))
    return page, f"{parts.path}?{parts.query}"  # To our own host alone: it carries a token.


def server_time(headers: Mapping[str, str], now: float) -> float:
    """The server's clock as its answer tells it; ours where it does not."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, IndexError):
        return now


def _instant(at: int) -> str:
    return datetime.fromtimestamp(max(0, at) // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
