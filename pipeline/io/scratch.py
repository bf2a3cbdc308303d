"""Temporary folders: for what a replay keeps only until it has ended, and for copies of ledgers.

A process that is killed leaves its folder behind; the next one removes what is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.ledger.store import looked_at

_CHUNK_BYTES = 1 << 20
_PREFIX = "outreach-activation-"
_IN_USE = ".in-use"


@dataclass(slots=True)
class Scratch:
    """A folder that goes when the block of `scratch` ends, unless it is kept.

    Attributes:
      folder: for its owner only, as temporary folders are.
      kept: whether it stays.
      digests: of the files in it that hold standard input.
    """

    folder: Path
    kept: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def ledger(self) -> str:
        """Path of a ledger in it."""
        return str(self.folder / "ledger.db")

    def spooled(self, files: Sequence[str]) -> list[str]:
        """The files, with standard input in a file of its own."""
        if "-" not in files:
            return list(files)
        path = self.folder / "stdin"
        digest = hashlib.sha256()
        with path.open("wb") as file:
            while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        self.digests = {str(path): digest.hexdigest()}
        return [str(path) if name == "-" else name for name in files]


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A new folder for as long as the block lasts, or longer where it is kept."""
    remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = _occupy(folder)
    made = Scratch(folder)
    try:
        yield made
    finally:
        if made.kept:
            (folder / _IN_USE).unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def copied_ledger(path: str | None) -> Iterator[str]:
    """The path of a ledger's copy that goes when the block ends; of a new one where there is none.

    Raises:
      ConfigurationError: what is there is no ledger.
    """
    with scratch() as made:
        if path is not None and Path(path).exists():
            with looked_at(path) as ledger, closing(sqlite3.connect(made.ledger)) as other:
                ledger.backup(other)
        yield made.ledger


def remove_abandoned() -> None:
    """Removes temporary folders whose process is gone without having said that they stay."""
    for mark in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_IN_USE}"):
        with contextlib.suppress(OSError):  # Somebody else's, or gone meanwhile.
            descriptor = os.open(mark, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(mark.parent, ignore_errors=True)
            finally:
                os.close(descriptor)


def _occupy(folder: Path) -> int:
    """Marks a folder as in use by this process, for as long as the descriptor is open."""
    unlocked = folder / f"{_IN_USE}.new"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Only now it is a mark: nobody finds one that is not locked yet.
    unlocked.rename(folder / _IN_USE)
    return descriptor


def command_again(arguments: Sequence[str], made: Scratch | None) -> str:
    """The command that goes on with a replay that was interrupted.

    Args:
      arguments: of this process, with the program before them.
      made: with the ledger of a replay that was given none; None where it was.
    """
    program, *words = arguments
    inside = program.endswith("__main__.py")
    start = [sys.executable, "-m", "pipeline"] if inside else [Path(program).name]
    if made is not None:
        spooled = next(iter(made.digests), "-")
        words = [*(spooled if word == "-" else word for word in words), "--ledger", made.ledger]
    return shlex.join([*start, *words])
