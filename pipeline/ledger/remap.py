"""Maps waiting changes anew after the destination file was edited.

Between two runs an audience may have been moved to another field, or be mapped no more. The
ledger has each change's segment, namespace and origin, which is all that mapping needs.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.ledger.history import record
from pipeline.ledger.inbox import BACKFILL
from pipeline.ledger.store import chunks, marks, transaction
from pipeline.ledger.waiting import Intake, change_of, columns_of, take_in
from transforms.elements import CLEARED, REJECTED, SUPERSEDED, Change, Outcome
from transforms.mapping import Mapping, Misfit
from transforms.plan import Audience

_log = logging.getLogger(__name__)

UNMAPPED = "unmapped"
"""The reason of a change that waited for an audience which the destination maps no more."""

_Key = tuple[str | None, str | None, str, str, str | None]


class Remapped(NamedTuple):
    """What became of changes that waited.

    Attributes:
      moved: changes that wait for another field or with another value now.
      unmapped: changes that are mapped no more, and ended as superseded.
      misfits: changes whose value the other field cannot hold, and which ended as rejected.
    """

    moved: int
    unmapped: int
    misfits: int


class Leftover(NamedTuple):
    """A field that an audience was written to under an earlier mapping.

    Attributes:
      field: such as ``custom17``.
      segment: of the audience.
      name: of the audience, for people.
      prospects: how many are known to hold a value there still.
      moved_to: where the audience is written now; None for nowhere.
    """

    field: str
    segment: str
    name: str
    prospects: int
    moved_to: str | None


def remap(connection: sqlite3.Connection, mapping: Mapping, now: int) -> Remapped:
    """Maps anew all that waits, some prospects a transaction.

    Killed between two of them, the next start does the rest.

    A change that goes to another field is weighed against what that field is known to hold and
    what waits for it, as if it had arrived now: its time decides. Its id becomes the one that
    replaying its record would give it.

    Args:
      connection: to the ledger.
      mapping: of the destination as it is now.
      now: microseconds since the epoch.
    """
    stale = [key for key in _kinds(connection) if _is_stale(key, mapping)]
    if not stale:
        return Remapped(0, 0, 0)
    moved = unmapped = misfits = 0
    for prospects in chunks(_prospects_of(connection, stale)):
        with transaction(connection):
            some = _remap(connection, set(stale), prospects, mapping, now)
        moved, unmapped, misfits = (
            moved + some.moved,
            unmapped + some.unmapped,
            misfits + some.misfits,
        )
    return Remapped(moved, unmapped, misfits)


def leftovers(connection: sqlite3.Connection, audiences: Sequence[Audience]) -> list[Leftover]:
    """Fields that hold what no audience writes there any more.

    To be asked before `pipeline.ledger.guard.name_audiences` notes the new mapping: what is told
    is what changed since the run before.
    """
    written = {(each.field, each.segment) for each in audiences}
    now_at = {each.segment: each.field for each in audiences}
    found: list[Leftover] = []
    for field, segment, name in connection.execute(
        "SELECT field, segment, name FROM audiences ORDER BY field"
    ).fetchall():
        if (field, segment) in written:
            continue
        (prospects,) = connection.execute(
            "SELECT count(*) FROM known WHERE segment = ? AND field = ? AND value <> 'null'",
            (segment, field),
        ).fetchone()
        if prospects:
            found.append(Leftover(field, segment, name, prospects, now_at.get(segment)))
    return found


def note_leftovers(
    connection: sqlite3.Connection,
    left: Iterable[Leftover],
    audiences: Sequence[Audience],
    now: int,
) -> None:
    """Keeps in mind which fields are left, within the caller's transaction.

    One that its audience is written to again is left no more.
    """
    connection.executemany(
        "INSERT OR IGNORE INTO leftovers (field, segment, name, since) VALUES (?, ?, ?, ?)",
        ((each.field, each.segment, each.name, now) for each in left),
    )
    connection.executemany(
        "DELETE FROM leftovers WHERE field = ? AND segment = ?",
        ((each.field, each.segment) for each in audiences),
    )


def tell(remapped: Remapped, left: Iterable[Leftover]) -> None:
    """Logs what a changed destination did to what waits, and what it leaves behind."""
    if any(remapped):
        _log.warning(
            "the destination's mapping has changed: of what waits, %d changes go to another field"
            " or with another value, %d are mapped no more (superseded, reason %s), and %d do not"
            " fit their new field (rejected)",
            remapped.moved,
            remapped.unmapped,
            UNMAPPED,
            remapped.misfits,
        )
    for each in left:
        where = "no field" if each.moved_to is None else each.moved_to
        _log.warning(
            "%s still holds in %d prospects what audience %s (%s) was written there; that"
            " audience goes to %s now. To empty it: outreach-activation clear %s",
            each.field,
            each.prospects,
            each.name,
            each.segment,
            where,
            each.field,
        )


def _kinds(connection: sqlite3.Connection) -> list[_Key]:
    """The kinds of changes that wait; the values of attributes are as many as there are changes."""
    return connection.execute(
        "SELECT DISTINCT segment, namespace, origin, field, iif(segment IS NULL, NULL, value)"
        " FROM waiting"
    ).fetchall()


def _is_stale(key: _Key, mapping: Mapping) -> bool:
    segment, namespace, origin, field, value = key
    if segment is None:
        return not origin.startswith(CLEARED) and field not in mapping.targets(origin)
    write = mapping.write(namespace, segment, origin)
    return write is None or (write.field, write.value) != (field, value)


def _prospects_of(connection: sqlite3.Connection, stale: Iterable[_Key]) -> list[int]:
    found: set[int] = set()
    for segment, namespace, origin, field, _ in stale:
        rows = connection.execute(
            "SELECT outreach_id FROM waiting WHERE segment IS ? AND namespace IS ?"
            " AND origin = ? AND field = ?",
            (segment, namespace, origin, field),
        )
        found.update(outreach_id for (outreach_id,) in rows)
    return sorted(found)


def _remap(
    connection: sqlite3.Connection,
    stale: set[_Key],
    prospects: Sequence[int],
    mapping: Mapping,
    now: int,
) -> Remapped:
    waited: dict[str, int] = {}
    before: list[Change] = []
    for *row, received_at in connection.execute(
        f"SELECT {columns_of('w')}, w.received_at FROM waiting AS w"
        f" WHERE outreach_id IN ({marks(prospects)})",
        prospects,
    ).fetchall():
        change = change_of(row)
        if _key(change) in stale:
            before.append(change)
            waited[change.change_id] = received_at
    connection.executemany(
        "DELETE FROM waiting WHERE outreach_id = ? AND field = ?",
        ((change.outreach_id, change.field) for change in before),
    )
    moved: list[Change] = []
    gone: list[Change] = []
    misfits: list[Misfit] = []
    arrived: dict[str, int] = {}
    for change in before:
        match mapping.again(change):
            case None:
                gone.append(change)
            case Misfit() as misfit:
                misfits.append(misfit)
            case Change() as mapped:
                moved.append(mapped)
                arrived[mapped.change_id] = waited[change.change_id]
    record(
        connection,
        [
            Outcome(SUPERSEDED, gone, now, reason=UNMAPPED),
            *(
                Outcome(REJECTED, [each.change], now, reason="value_invalid", detail=each.detail)
                for each in misfits
            ),
        ],
    )
    # In the lane of the backfill: whoever is in the queue already keeps the better one.
    intake = Intake(moved, [], BACKFILL, lambda change: arrived[change.change_id])
    take_in(connection, intake, now, 0)
    connection.executemany(
        "DELETE FROM queue WHERE outreach_id = ?1"
        " AND NOT EXISTS (SELECT 1 FROM waiting WHERE outreach_id = ?1)",
        ((outreach_id,) for outreach_id in prospects),
    )
    return Remapped(len(moved), len(gone), len(misfits))


def _key(change: Change) -> _Key:
    value = None if change.segment is None else change.value
    return (change.segment, change.namespace, change.origin, change.field, value)
