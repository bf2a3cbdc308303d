"""What may be done to a ledger from beside the process that works on it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.ledger.store import connect, looked_at
from transforms.errors import ConfigurationError


@contextmanager
def amended(path: str) -> Iterator[sqlite3.Connection]:
    """A connection for a short change, whoever works on the ledger meanwhile.

    Raises:
      ConfigurationError: as of `pipeline.ledger.store.looked_at`, or it cannot be written.
    """
    with looked_at(path):
        pass  # It is one, and of this release: nothing is made of what is not.
    try:
        with closing(connect(path)) as connection:
            yield connection
    except sqlite3.OperationalError as problem:
        raise ConfigurationError(f"ledger {path} cannot be changed: {problem}") from problem


def owner(path: str) -> int | None:
    """The process that works on a ledger; None where none does, 0 where it is not known which."""
    try:
        descriptor = os.open(f"{Path(path).resolve()}.lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 32, 0).strip()
        return int(written) if written.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
