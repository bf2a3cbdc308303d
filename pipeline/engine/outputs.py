"""Where a ledger's receipts and dead letters go: files and topics."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from pipeline.io.pubsub_publisher import Publisher
from pipeline.io.targets import OutputKind, is_local, is_topic, prepare
from pipeline.ledger.outbox import Kind, Output
from transforms.errors import ActivationError, ConfigurationError

_log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""How long the service may take to confirm; then the lines are published again."""
_KINDS: dict[Kind, OutputKind] = {"receipts": "receipts", "dead_letters": "dead letters"}
RETRY_SECONDS = 10.0
"""After lines could not be written."""


@dataclass(slots=True)
class Outputs:
    """What a job writes out of its ledger while it runs.

    Whoever has no outputs, has none of these. Trouble with one stops no delivery: its lines wait
    in the ledger.

    Attributes:
      ledger: a connection.
      earlier: files that were put aside, by the name of what took their place.
      now: outputs that are written to as lines come.
      remote: files elsewhere, which are written as a whole in the end.
    """

    ledger: sqlite3.Connection
    earlier: Mapping[str, str] = field(default_factory=dict)
    now: Sequence[Output] = ()
    remote: Sequence[WholeFile] = ()
    _retry_at: dict[str, float] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Names of all, as the ledger knows them."""
        return [output.target for output in (*self.now, *self.remote)]

    def write_files(self) -> None:
        """Writes to local files what is new: that takes no time."""
        for output in self.now:
            if output.publish is None:
                self._write(output, lambda: False)

    def write(self, seconds: float = 1.0) -> None:
        """Writes what is new, for some seconds at most."""
        ends = time.monotonic() + seconds
        for output in self.now:
            self._write(output, lambda: time.monotonic() >= ends)

    def finish(self) -> None:
        """Writes all that is left.

        Raises:
          ActivationError: that is not possible; it stays in the ledger.
        """
        for output in (*self.now, *self.remote):
            try:
                while output.write(self.ledger):
                    pass
            except OSError as problem:
                raise ActivationError(
                    f"{output.target} cannot be written: {problem}; all was delivered as far as"
                    " the ledger says, and the same command writes the rest"
                ) from problem

    def _write(self, output: Output, is_over: Callable[[], bool]) -> None:
        if time.monotonic() < self._retry_at.get(output.target, 0.0):
            return
        try:
            while output.write(self.ledger) and not is_over():
                pass
        except (OSError, sqlite3.OperationalError) as problem:
            if output.target not in self._retry_at:
                _log.error("%s cannot be written: %s; trying again", output.target, problem)
            self._retry_at[output.target] = time.monotonic() + RETRY_SECONDS
        else:
            self._retry_at.pop(output.target, None)


def begin_outputs(
    receipts: str | None,
    dead_letters: str | None,
    ledger: sqlite3.Connection,
    *,
    afresh: bool,
    lasting: bool,
) -> Outputs:
    """Begins receipts and dead letters.

    Args:
      receipts: path or topic; None for none.
      dead_letters: the same.
      ledger: a connection.
      afresh: rather than where an earlier run stopped.
      lasting: the job has no end, and so no file elsewhere can be written at its end.

    Raises:
      ConfigurationError: one cannot be written, or holds something else.
    """
    named: tuple[tuple[Kind, str | None], ...] = (
        ("receipts", receipts),
        ("dead_letters", dead_letters),
    )
    wanted = [(kind, target) for kind, target in named if target is not None]
    earlier: dict[str, str] = {}
    now: list[Output] = []
    remote: list[WholeFile] = []
    for kind, target in wanted:
        if is_topic(target):
            now.append(Output(kind, target, Publisher(target, PUBLISH_SECONDS)))
        elif is_local(target):
            put = prepare(target, _KINDS[kind], aside=afresh)
            if put is not None:
                earlier[target] = put
            now.append(Output(kind, _place(target)))
        elif lasting:
            raise ConfigurationError(
                f"{target} would be written when the job has ended, and this one does not end;"
                " name a file of this machine, or a topic"
            )
        else:
            remote.append(WholeFile(kind, target))
    for output in (*now, *remote):
        output.begin(ledger, afresh=afresh)
    return Outputs(ledger, earlier, now, remote)


def _place(target: str) -> str:
    # By its one name: the next run may be started elsewhere.
    return str(Path(target).resolve()) if is_local(target) else target


class WholeFile(Output):
    """A file elsewhere, which cannot be added to: written at once, in place of an earlier one."""

    def write(self, connection: sqlite3.Connection) -> int:
        """Writes all lines since it was begun."""
        (done,) = connection.execute(
            "SELECT written_to FROM outputs WHERE target = ?", (self.target,)
        ).fetchone()
        with FileSystems.create(self.target) as file:
            last, lines = self.lines_after(connection, done)
            while lines:
                file.write(b"\n".join(lines) + b"\n")
                last, lines = self.lines_after(connection, last)
        self._note(connection, last, 0)
        return 0

    def _size(self) -> int:
        try:
            FileSystems.get_filesystem(self.target)
        except ValueError as problem:
            raise ConfigurationError(f"{self.target} cannot be written: {problem}") from problem
        return 0
