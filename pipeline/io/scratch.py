"""A folder for what a replay keeps only until it has ended: standard input, and a ledger."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK_BYTES = 1 << 20


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
    made = Scratch(Path(tempfile.mkdtemp(prefix="outreach-activation-")))
    try:
        yield made
    finally:
        if not made.kept:
            shutil.rmtree(made.folder, ignore_errors=True)


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
