"""Receipts and dead letters out of the ledger: to a file exactly once, to a topic at least once."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import groupby
from typing import Literal

from pipeline.ledger.store import object_of, transaction
from transforms.elements import Change, Outcome
from transforms.outreach.fields import PROSPECT
from transforms.receipts import receipts

Kind = Literal["receipts", "dead_letters"]
ROWS = 2_000
"""Lines written between two notes of how far it went."""

Publish = Callable[[Sequence[bytes]], None]
"""Publishes lines to a topic, and returns when the service has them."""


@dataclass(slots=True)
class Output:
    """One file or topic that gets each line once.

    A file may be ahead of what the ledger noted, where the process died in between or the disk
    was full; it is cut back to that before more is written. A topic may get lines twice then.

    Attributes:
      kind: what is written.
      target: path of a local file, or a topic.
      publish: for a topic; None for a file.
    """

    kind: Kind
    target: str
    publish: Publish | None = None

    def begin(self, connection: sqlite3.Connection, *, afresh: bool) -> None:
        """Takes up where an earlier run stopped, or begins with what comes from now on.

        Raises:
          OSError: the file cannot be written.
        """
        size = self._size()
        with transaction(connection):
            if afresh:
                connection.execute("DELETE FROM outputs WHERE target = ?", (self.target,))
            connection.execute(
                "INSERT OR IGNORE INTO outputs (target, kind, written_to, bytes) SELECT ?1, ?2,"
                f" coalesce(max(id), 0), ?3 FROM {self.kind}",
                (self.target, self.kind, size),
            )
        _, noted = self._progress(connection)
        if size > noted:
            os.truncate(self.target, noted)

    def write(self, connection: sqlite3.Connection) -> int:
        """Writes what is new, some of it at a time; returns how many lines, 0 where none is left.

        Raises:
          OSError: they could not be written; they stay in the ledger.
        """
        done, size = self._progress(connection)
        last, lines = self.lines_after(connection, done)
        if not lines:
            return 0
        if self.publish is not None:
            self.publish(lines)
        else:
            size = self._append(lines, size)
        self._note(connection, last, size)
        return len(lines)

    def lines_after(self, connection: sqlite3.Connection, done: int) -> tuple[int, Sequence[bytes]]:
        """The next lines after an id, and the id of the last of them."""
        return _READERS[self.kind](connection, done)

    def _progress(self, connection: sqlite3.Connection) -> tuple[int, int]:
        done, size = connection.execute(
            "SELECT written_to, bytes FROM outputs WHERE target = ?", (self.target,)
        ).fetchone()
        return done, size

    def _note(self, connection: sqlite3.Connection, last: int, size: int) -> None:
        with transaction(connection):
            connection.execute(
                "UPDATE outputs SET written_to = ?, bytes = ? WHERE target = ?",
                (last, size, self.target),
            )

    def _size(self) -> int:
        if self.publish is not None:
            return 0
        with self._opened() as file:
            return file.tell()

    def _append(self, lines: Sequence[bytes], size: int) -> int:
        with self._opened() as file:
            if file.tell() > size:
                os.ftruncate(file.fileno(), size)
            # Shorter only if somebody has put another in its place, to keep files small.
            start = min(file.tell(), size)
            left = memoryview(b"\n".join(lines) + b"\n")
            length = len(left)
            while left:
                left = left[file.write(left) or 0 :]
            # On the disk before the ledger says so.
            os.fsync(file.fileno())
        return start + length

    def _opened(self) -> FileIO:
        return open(self.target, "ab", buffering=0)  # noqa: PTH123 - as the user wrote it


def output_targets(connection: sqlite3.Connection) -> list[str]:
    """Paths and topics that got receipts or dead letters of this ledger, in alphabetical order."""
    return [row[0] for row in connection.execute("SELECT target FROM outputs ORDER BY target")]


def _receipts(connection: sqlite3.Connection, after: int) -> tuple[int, list[bytes]]:
    rows = connection.execute(
        "SELECT id, change_id, outreach_id, segment, field, value, event_time,"
        " outcome, reason, http_status, user, recorded_at FROM receipts"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (after, ROWS),
    ).fetchall()
    lines: list[bytes] = []
    kind = object_of(connection) or PROSPECT
    for (outcome, reason, status, user, recorded_at), alike in groupby(rows, lambda row: row[7:]):
        changes = [
            Change(change_id, prospect, "", field, value, segment, None, "", time, 0)
            for _, change_id, prospect, segment, field, value, time, *_ in alike
        ]
        ended = Outcome(outcome, changes, recorded_at, reason, None, status, user)
        lines += receipts(ended, kind)
    return (rows[-1][0] if rows else after), lines


def _dead_letters(connection: sqlite3.Connection, after: int) -> tuple[int, list[bytes]]:
    rows = connection.execute(
        "SELECT id, line FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?", (after, ROWS)
    ).fetchall()
    return (rows[-1][0] if rows else after), [line for _, line in rows]


_READERS: dict[Kind, Callable[[sqlite3.Connection, int], tuple[int, list[bytes]]]] = {
    "receipts": _receipts,
    "dead_letters": _dead_letters,
}
