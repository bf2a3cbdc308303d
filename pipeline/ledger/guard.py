"""The guard: an audience that empties too fast is held until a person lets it go.

Counted are *known members*, whom Outreach was last given as realized or existing, and of these
whose exit arrived within the window, whether it was sent already or still waits. What was never
delivered cannot leave, so that a new ledger holds nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.ledger.store import chunks, marks
from transforms.clock import micros
from transforms.elements import Change
from transforms.mapping import Audience

LEAST_MEMBERS = 10
"""A smaller audience is never held: half of it is a handful of people, and daily business."""
_EXITED = "exited"
A_MEMBER = "IN ('realized', 'existing')"
_WRITTEN_NOW = "field IN (SELECT field FROM audiences AS a WHERE a.segment = known.segment)"
"""A field that the audience had before it was moved to another says nothing of who is a member."""


@dataclass(frozen=True, slots=True)
class GuardTerms:
    """When an audience is held.

    Attributes:
      max_exit_percent: of its known members; more than that leaving holds it.
      window_seconds: over which exits are counted, by when they arrived.
    """

    max_exit_percent: float = 50.0
    window_seconds: float = 3600.0


class HeldAudience(NamedTuple):
    """An audience that is held, or was until it was released.

    Attributes:
      segment: its id; of audiences of two namespaces with one id, both are held.
      name: for people.
      since: when it was held, in microseconds since the epoch.
      members: known when it was.
      exits: of them, those that had left or were about to, at most so far.
      released_at: when a person let it go; None while it is held.
    """

    segment: str
    name: str
    since: int
    members: int
    exits: int
    released_at: int | None


def is_mass_exit(members: int, exits: int, max_exit_percent: float) -> bool:
    """Whether so many of an audience's known members leaving is too many."""
    return members >= LEAST_MEMBERS and exits * 100 > max_exit_percent * members


def name_audiences(connection: sqlite3.Connection, audiences: Iterable[Audience]) -> None:
    """Notes the audiences of a destination for people, within the caller's transaction."""
    connection.execute("DELETE FROM audiences")
    connection.executemany(
        "INSERT INTO audiences (field, segment, name) VALUES (?, ?, ?)",
        ((each.field, each.segment, each.name) for each in audiences),
    )


def watch_exits(
    connection: sqlite3.Connection, changes: Iterable[Change], terms: GuardTerms, now: int
) -> None:
    """Holds audiences that empty too fast, within the transaction that took changes in.

    So they are held before any of these changes can be sent.

    Args:
      connection: to the ledger.
      changes: that were just taken in.
      terms: when to hold.
      now: microseconds since the epoch.
    """
    leaving: dict[int, set[str]] = {}
    coming: set[int] = set()
    for change in changes:
        if change.segment is None:
            continue
        if change.origin == _EXITED:
            leaving.setdefault(change.outreach_id, set()).add(change.segment)
        else:
            coming.add(change.outreach_id)
    _forget_returned(connection, list(coming))
    if not leaving:
        return
    since = now - micros(terms.window_seconds)
    segments = sorted(set().union(*leaving.values()))
    for segment in segments:
        connection.execute("DELETE FROM exits WHERE segment = ? AND at < ?", (segment, since))
        _end_wave(connection, segment, terms, now)
    for some in chunks(list(leaving)):
        connection.execute(
            "INSERT OR IGNORE INTO exits (segment, outreach_id, at)"
            " SELECT w.segment, w.outreach_id, ? FROM waiting AS w"
            " JOIN known AS k ON k.outreach_id = w.outreach_id AND k.field = w.field"
            f" WHERE w.outreach_id IN ({marks(some)}) AND w.origin = '{_EXITED}'"
            f" AND k.segment = w.segment AND k.origin {A_MEMBER}",
            (now, *some),
        )
    for segment in segments:
        _hold_if_emptying(connection, segment, terms, now)


def end_waves(connection: sqlite3.Connection, terms: GuardTerms, now: int) -> None:
    """Audiences that were let go are guarded again once they no longer empty; see `_end_wave`.

    Within the caller's transaction; forgets exits that are older than the window, too.
    """
    since = now - micros(terms.window_seconds)
    connection.execute("DELETE FROM exits WHERE at < ?", (since,))
    for each in holds(connection):
        _end_wave(connection, each.segment, terms, now)


def hold(connection: sqlite3.Connection, segment: str, members: int, exits: int, now: int) -> None:
    """Holds an audience whatever its size, within the caller's transaction, unless it is held.

    Args:
      connection: to the ledger.
      segment: of the audience.
      members: that it had.
      exits: how many of them leave.
      now: microseconds since the epoch.
    """
    connection.execute(
        "INSERT INTO held (segment, since, members, exits) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (segment) DO UPDATE SET exits = max(exits, excluded.exits)",
        (segment, now, members, exits),
    )


def release(connection: sqlite3.Connection, segment: str, now: int) -> HeldAudience | None:
    """Lets a held audience go, within the caller's transaction; None if there was none held."""
    found = next((each for each in holds(connection) if each.segment == segment), None)
    connection.execute(
        "UPDATE held SET released_at = ? WHERE segment = ? AND released_at IS NULL",
        (now, segment),
    )
    return found


def holds(connection: sqlite3.Connection) -> list[HeldAudience]:
    """Audiences that are held, and those whose release still lasts, in the order of holding."""
    return [
        HeldAudience._make(row)
        for row in connection.execute(
            "SELECT h.segment, coalesce((SELECT group_concat(name, ' and ') FROM audiences AS a"
            " WHERE a.segment = h.segment), h.segment), since, members, exits, released_at"
            " FROM held AS h ORDER BY since, h.segment"
        )
    ]


def _end_wave(connection: sqlite3.Connection, segment: str, terms: GuardTerms, now: int) -> None:
    """Ends a release once it has lasted a window and the audience no longer empties."""
    row = connection.execute("SELECT released_at FROM held WHERE segment = ?", (segment,))
    ((released_at,),) = row.fetchall() or [(None,)]
    if released_at is None or now - released_at < micros(terms.window_seconds):
        return
    if _count(connection, segment, terms) is None:
        connection.execute("DELETE FROM held WHERE segment = ?", (segment,))


def _hold_if_emptying(
    connection: sqlite3.Connection, segment: str, terms: GuardTerms, now: int
) -> None:
    counted = _count(connection, segment, terms)
    if counted is not None:
        hold(connection, segment, *counted, now)


def _count(
    connection: sqlite3.Connection, segment: str, terms: GuardTerms
) -> tuple[int, int] | None:
    """Known members of an audience and those of them who leave, if these are too many."""
    (exits,) = connection.execute(
        "SELECT count(*) FROM exits WHERE segment = ?", (segment,)
    ).fetchone()
    if not is_mass_exit(LEAST_MEMBERS, exits, terms.max_exit_percent):
        return None
    # With more members than these it is no mass exit; nobody needs to count them.
    enough = max(LEAST_MEMBERS, int(exits * 100 / terms.max_exit_percent) + 1)
    (members,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM known"
        f" WHERE segment = ? AND origin {A_MEMBER} AND {_WRITTEN_NOW} LIMIT ?)",
        (segment, enough),
    ).fetchone()
    (gone,) = connection.execute(
        "SELECT count(*) FROM exits AS e WHERE segment = ?1 AND NOT EXISTS (SELECT 1 FROM known"
        f" WHERE outreach_id = e.outreach_id AND segment = ?1 AND origin {A_MEMBER}"
        f" AND {_WRITTEN_NOW})",
        (segment,),
    ).fetchone()
    known = members + gone
    return (known, exits) if is_mass_exit(known, exits, terms.max_exit_percent) else None


def _forget_returned(connection: sqlite3.Connection, prospects: Sequence[int]) -> None:
    """Deletes the exits of prospects who are members again, or wait to be."""
    for some in chunks(prospects):
        connection.execute(
            f"DELETE FROM exits WHERE outreach_id IN ({marks(some)}) AND coalesce("
            "(SELECT origin FROM waiting AS w WHERE w.outreach_id = exits.outreach_id"
            " AND w.segment = exits.segment),"
            "(SELECT origin FROM known WHERE known.outreach_id = exits.outreach_id"
            f" AND known.segment = exits.segment AND {_WRITTEN_NOW})) {A_MEMBER}",
            some,
        )
