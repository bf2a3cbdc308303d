"""Full refreshes: whoever was a member and is not in the whole audience any more has left it.

A refresh that comes in pages takes effect when all of them are in, whatever their order. What a
refresh says is as old as its first page: somebody who entered since then stays.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import orjson

from transforms.elements import MembershipChange
from transforms.formats.decode import digest
from transforms.formats.platforms.members import LEFT
from transforms.formats.platforms.mixpanel import RefreshPage

_log = logging.getLogger(__name__)

_A_MEMBER = "origin IN ('realized', 'existing')"


class Refresh(NamedTuple):
    """A whole audience, complete.

    Attributes:
      segment: of the audience.
      session: tells it from the audience's other refreshes.
      members: all of them, by their OutreachIds, or by what they are known by.
      published: microseconds since the epoch, of its first page.
    """

    segment: str
    session: str
    members: frozenset[int] | frozenset[str]
    published: int


def note(connection: sqlite3.Connection, page: RefreshPage, published: int) -> None:
    """Keeps a page until the others are in, within the caller's transaction.

    A page that came before takes its own place; one of a refresh that is done is passed over.
    """
    connection.execute(
        "INSERT INTO refresh_pages (segment, session, page, pages, published, members)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM refresh_pages"
        " WHERE segment = ?1 AND session = ?2 AND members IS NULL)"
        " ON CONFLICT (segment, session, page) DO UPDATE SET members = excluded.members,"
        " pages = excluded.pages",
        (
            page.segment,
            page.session,
            page.page,
            page.pages,
            published,
            orjson.dumps(page.members),
        ),
    )


def completed(
    connection: sqlite3.Connection, is_ready: Callable[[frozenset[Any]], bool] = lambda _: True
) -> list[Refresh]:
    """The refreshes of which all pages are in; they are done, within the caller's transaction.

    Args:
      connection: to the ledger.
      is_ready: whether it is known who some members are; else the refresh waits.
    """
    found: list[Refresh] = []
    for segment, session, published in connection.execute(
        "SELECT segment, session, min(published) FROM refresh_pages WHERE members NOT NULL"
        " GROUP BY segment, session HAVING count(*) >= max(pages)"
    ).fetchall():
        members: set[Any] = set()
        for (page,) in connection.execute(
            "SELECT members FROM refresh_pages WHERE segment = ? AND session = ?",
            (segment, session),
        ):
            members.update(orjson.loads(page))
        if not is_ready(frozenset(members)):
            continue
        found.append(Refresh(segment, session, frozenset(members), published))
        # The pages stay for a while without their members, to know a repetition.
        connection.execute(
            "UPDATE refresh_pages SET members = NULL WHERE segment = ? AND session = ?",
            (segment, session),
        )
        if not session:
            connection.execute(
                "DELETE FROM refresh_pages WHERE segment = ? AND session = ''", (segment,)
            )
    return found


def drop_stale(connection: sqlite3.Connection, before: int) -> list[tuple[str, int, int]]:
    """Drops refreshes whose last page came before a time, within the caller's transaction.

    Returns:
      Segment, pages that are in and pages that there are, of each that was not complete.
    """
    stale = connection.execute(
        "SELECT segment, session, count(members), max(pages) FROM refresh_pages"
        " GROUP BY segment, session HAVING max(published) < ?",
        (before,),
    ).fetchall()
    for segment, session, came, pages in stale:
        connection.execute(
            "DELETE FROM refresh_pages WHERE segment = ? AND session = ?", (segment, session)
        )
        if came:
            _log.warning(
                "a full refresh of %s is dropped: %d of its %d pages are missing; nobody has left"
                " the audience for it",
                segment,
                pages - came,
                pages,
            )
    return [(segment, came, pages) for segment, _, came, pages in stale if came]


def known_members(connection: sqlite3.Connection, segment: str) -> set[int]:
    """Returns the known members, with those who wait to become one."""
    written_now = "field IN (SELECT field FROM audiences AS a WHERE a.segment = {0}.segment)"
    found: set[int] = set()
    for table in ("known", "waiting"):
        found.update(
            row[0]
            for row in connection.execute(
                f"SELECT outreach_id FROM {table} WHERE segment = ? AND {_A_MEMBER}"
                f" AND {written_now.format(table)}",
                (segment,),
            )
        )
    return found


def exits(
    refresh: Refresh, members: Collection[int], known: Iterable[int], sequence: int
) -> list[MembershipChange]:
    """Returns the known members who have left.

    Args:
      refresh: the whole audience.
      members: the same by their OutreachIds.
      known: its members of before.
      sequence: the exits' place in the order of publication.
    """
    arrival_id = digest(f"refresh {refresh.segment} {refresh.session}".encode())
    return [
        MembershipChange(
            arrival_id, prospect, None, refresh.segment, LEFT, refresh.published, sequence
        )
        for prospect in sorted(set(known) - set(members))
    ]


def forget_member(connection: sqlite3.Connection, outreach_id: int) -> None:
    """Takes a prospect off all pages, within the caller's transaction."""
    for segment, session, page, members in connection.execute(
        "SELECT segment, session, page, members FROM refresh_pages WHERE members NOT NULL"
    ).fetchall():
        ids = orjson.loads(members)
        if outreach_id in ids:
            rest = [each for each in ids if each != outreach_id]
            connection.execute(
                "UPDATE refresh_pages SET members = ? WHERE segment = ? AND session = ?"
                " AND page = ?",
                (orjson.dumps(rest), segment, session, page),
            )
