"""Receipts and dead letters out of the ledger: to a file exactly once, to a topic at least once."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pipeline.ledger.store import transaction
from transforms.elements import Change, Outcome
from transforms.receipts import receipts

Kind = Literal["receipts", "dead_letters"]
ROWS = 5_000
"""Lines written between two notes of how far it went."""

Publish = Callable[[Sequence[bytes]], None]
"""Publishes lines to a topic, and returns when the service has them."""


@dataclass(slots=True)
class Output:
    """One file or topic that gets each line once.

    A file may be ahead of what the ledger noted, where the process died in between; it is cut
    back to that before more is written. A topic may get lines twice then.

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
        row = connection.execute(
            "SELECT bytes FROM outputs WHERE target = ?", (self.target,)
        ).fetchone()
        if row is not None and not afresh:
            if self.publish is None:
                self._cut(row[0])
            return
        size = 0
        if self.publish is None:
            with open(self.target, "ab") as file:  # noqa: PTH123 - as the user wrote it
                size = file.tell()
        with transaction(connection):
            connection.execute(
                "INSERT OR REPLACE INTO outputs (target, kind, written_to, bytes) SELECT ?1, ?2,"
                f" coalesce(max(id), 0), ?3 FROM {self.kind}",
                (self.target, self.kind, size),
            )

    def write(self, connection: sqlite3.Connection) -> int:
        """Writes all that is new; returns how many lines."""
        count = 0
        while lines := self._write_some(connection):
            count += lines
        return count

    def _write_some(self, connection: sqlite3.Connection) -> int:
        done, size = connection.execute(
            "SELECT written_to, bytes FROM outputs WHERE target = ?", (self.target,)
        ).fetchone()
        last, lines = _READERS[self.kind](connection, done)
        if not lines:
            return 0
        if self.publish is not None:
            self.publish(lines)
        else:
            size += self._append(lines)
        with transaction(connection):
            connection.execute(
                "UPDATE outputs SET written_to = ?, bytes = ? WHERE target = ?",
                (last, size, self.target),
            )
        return len(lines)

    def _append(self, lines: Sequence[bytes]) -> int:
        data = b"\n".join(lines) + b"\n"
        with open(self.target, "ab", buffering=0) as file:  # noqa: PTH123 - as the user wrote it
            left = memoryview(data)
            while left:
                left = left[file.write(left) or 0 :]
        return len(data)

    def _cut(self, size: int) -> None:
        with open(self.target, "ab") as file:  # noqa: PTH123 - as the user wrote it
            if file.tell() > size:
                os.ftruncate(file.fileno(), size)


def _receipts(connection: sqlite3.Connection, after: int) -> tuple[int, list[bytes]]:
    rows = connection.execute(
        "SELECT id, change_id, outreach_id, segment, field, value, event_time,"
        " outcome, reason, http_status, user, recorded_at FROM receipts"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (after, ROWS),
    ).fetchall()
    lines: list[bytes] = []
    for (outcome, reason, status, user, recorded_at), alike in groupby(rows, lambda row: row[7:]):
        changes = [
            Change(change_id, prospect, "", field, value, segment, None, "", time, 0)
            for _, change_id, prospect, segment, field, value, time, *_ in alike
        ]
        lines += receipts(Outcome(outcome, changes, recorded_at, reason, None, status, user))
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
