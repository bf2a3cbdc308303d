"""Files through a ledger: where a replay of them began, how far it is, and what came of it."""

from __future__ import annotations

import json
import sqlite3
from collections import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.engine.scheduler import Scheduler
from pipeline.io.files import blocks
from pipeline.jobs.signals import StopSignal
from pipeline.ledger import history, waiting
from pipeline.ledger.queries.activity import Activity, last_receipt, read_activity
from pipeline.ledger.refresh import Refresh
from pipeline.ledger.store import transaction
from pipeline.summary import ledger_summary, segments_since
from transforms.clock import micros
from transforms.elements import Block
from transforms.formats.context import PLACE_BITS
from transforms.formats.csv_rows import Columns
from transforms.formats.platforms.members import LEFT
from transforms.plan import Plan, canonical
from transforms.stages.parse import parse

INTAKE_BLOCKS = 16
"""Blocks of a file that one intake takes, of about a megabyte each."""
DOCUMENT_PLACES = 1024
"""Places between two files: the elements of a document are in order among a few million."""


@dataclass(slots=True)
class FileReplay:
    """Files through a ledger: taken in block by block, then delivered until nothing is left.

    Attributes:
      paths: as of `pipeline.io.files.expand`.
      lane: of all that is in them.
      digests: of the files that are known by their content alone.
      columns: names for the columns of tables.
    """

    paths: Sequence[str]
    lane: int
    digests: abc.Mapping[str, str] = field(default_factory=dict)
    columns: Columns = ()

    @property
    def key(self) -> str:
        """Says which files these are, and that they are as they were."""
        return json.dumps([self._stamp(path) for path in self.paths])

    def _stamp(self, path: str) -> Sequence[str | int]:
        if path in self.digests:
            return ["-", self.digests[path]]
        local = Path(path)
        if not local.is_file():
            return [path]
        found = local.stat()
        return [str(local.resolve()), found.st_size, found.st_mtime_ns]

    def begin(self, ledger: sqlite3.Connection, now: float, *, anew: bool = False) -> bool:
        """Notes the start, unless it was begun before; returns whether it was.

        Args:
          ledger: a connection.
          now: seconds since the epoch.
          anew: the summary is to be of what is done from now on, even if it was begun before.
        """
        with transaction(ledger):
            found = ledger.execute("SELECT 1 FROM replays WHERE files = ?", (self.key,)).fetchone()
            before = history.totals(ledger)
            before["waiting"] = waiting.count(ledger)
            before["dead_letters"] = history.last_dead_letter(ledger)
            before["receipts"] = last_receipt(ledger)
            if found is not None and anew:
                ledger.execute(
                    "UPDATE replays SET totals = ? WHERE files = ?", (json.dumps(before), self.key)
                )
            elif found is None:
                # Published now, and so after all that came before, whatever the clock said then.
                last = waiting.last_sequence(ledger) >> PLACE_BITS
                position = max(micros(now), last + 1)
                ledger.execute(
                    "INSERT INTO replays (files, position, blocks, totals) VALUES (?, ?, 0, ?)",
                    (self.key, position, json.dumps(before)),
                )
        return found is not None

    def take_in(
        self, scheduler: Scheduler, ledger: sqlite3.Connection, stop_signal: StopSignal
    ) -> bool:
        """Takes in what is not in yet; returns whether all is."""
        position, done = ledger.execute(
            "SELECT position, blocks FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        rest = islice(self._blocks(position), done, None)
        while not stop_signal.stopped:
            some = list(islice(rest, INTAKE_BLOCKS))
            if not some:
                return True
            done += len(some)
            with scheduler.taking_in(some, self.lane) as within:
                within.execute("UPDATE replays SET blocks = ? WHERE files = ?", (done, self.key))
        return False

    def activity(self, ledger: sqlite3.Connection) -> Activity:
        """What became of changes since it was begun, for a report."""
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        before = json.loads(text)
        return read_activity(ledger, before.get("receipts", 0), before["dead_letters"])

    def whole(self, plan: Plan, segment: str, ledger: sqlite3.Connection) -> Refresh:
        """The audience that the files are, as of when they were begun to be replayed."""
        (position,) = ledger.execute(
            "SELECT position FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        rules, wanted_segment = plan.reading, canonical(segment)
        members: set[Any] = set()
        for path in self.paths:
            for block in blocks(path, 0, columns=self.columns):
                parsed = parse(block, plan.identity, (), 0, rules=rules)
                members.update(
                    parsed.keys[-each.outreach_id - 1] if each.outreach_id < 0 else each.outreach_id
                    for each in parsed.memberships
                    if canonical(each.segment) == wanted_segment and each.status != LEFT
                )
        return Refresh(segment, f"replay {position}", frozenset(members), position)

    def end(self, ledger: sqlite3.Connection) -> None:
        """Forgets that it was begun: the same files replayed again are replayed anew."""
        with transaction(ledger):
            ledger.execute("DELETE FROM replays WHERE files = ?", (self.key,))

    def summary(self, ledger: sqlite3.Connection, seconds: float) -> dict[str, Any]:
        """The summary since it was begun, by whichever process.

        Raises:
          AccountingError: some change has no outcome, or more than one.
        """
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return ledger_summary(
            json.loads(text), history.totals(ledger), waiting.count(ledger), seconds
        )

    def unmapped(self, ledger: sqlite3.Connection) -> dict[str, int]:
        """The unmapped segments that came since it was begun, and how often each did."""
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return segments_since(json.loads(text), history.totals(ledger))

    def reasons(self, ledger: sqlite3.Connection) -> dict[str, int]:
        """How many dead letters there are since it was begun, by reason."""
        (text,) = ledger.execute(
            "SELECT totals FROM replays WHERE files = ?", (self.key,)
        ).fetchone()
        return history.reasons(ledger, json.loads(text)["dead_letters"])

    def _blocks(self, position: int) -> Iterator[Block]:
        # From the micros of its start on: what stands in a file was published when it is replayed.
        for path in self.paths:
            for block in blocks(path, position, columns=self.columns):
                position = block.position + len(block.lines)
                yield block
            position += DOCUMENT_PLACES
