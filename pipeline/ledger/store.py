"""Opening a ledger: one process works on it at a time, any number look."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pipeline.ledger.schema import VERSION, migrate
from transforms.errors import ConfigurationError

BUSY_SECONDS = 30.0
"""How long a transaction waits for another thread's to end."""
LOG_BYTES = 64 * 2**20
"""What the write-ahead log keeps of the disk, however large a transaction made it."""
GLANCE_SECONDS = 0.05
"""Whoever only looks whether a ledger is held has it locked for much less."""


def connect(path: str) -> sqlite3.Connection:
    """A connection to a ledger that was prepared, for one thread at a time.

    A commit is safe from the death of the process; `durable` makes it safe from that of the
    machine, which only what is acknowledged elsewhere has to be.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What was forgotten is to be gone from the file too; nothing of it stays on free pages.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


@contextmanager
def owned(path: str) -> Iterator[None]:
    """Prepares a ledger and holds it for this process until the block ends.

    Raises:
      ConfigurationError: another process holds it, it cannot be written, it was written by a
        newer release, or is no ledger.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise ConfigurationError(f"ledger {path}: {problem.strerror}") from problem
    try:
        _lock(descriptor, path)
        _prepare(path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: str) -> None:
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(GLANCE_SECONDS)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        raise ConfigurationError(
            f"ledger {path} is in use by process {owner}; stop that one, or name another ledger"
        ) from taken
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _prepare(path: str) -> None:
    try:
        # Receipts and dead letters hold what people are interested in: for the owner only.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connect(path)
    except (OSError, sqlite3.DatabaseError) as problem:
        raise ConfigurationError(f"ledger {path}: {problem}; name another file") from problem
    try:
        migrate(connection, path)
    finally:
        connection.close()


@contextmanager
def looked_at(path: str) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, whoever works on the ledger meanwhile.

    Raises:
      ConfigurationError: there is no ledger, or not one of this release.
    """
    if not Path(path).is_file():
        raise ConfigurationError(f"there is no ledger at {path}; is the path right?")
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        _check(connection, path)
        yield connection
    finally:
        connection.close()


@contextmanager
def amended(path: str) -> Iterator[sqlite3.Connection]:
    """A connection for a short change, whoever works on the ledger meanwhile.

    Raises:
      ConfigurationError: as of `looked_at`, or it cannot be written.
    """
    with looked_at(path):
        pass  # It is one, and of this release: nothing is made of what is not.
    try:
        connection = connect(path)
    except sqlite3.DatabaseError as problem:
        raise ConfigurationError(f"ledger {path}: {problem}") from problem
    try:
        yield connection
    finally:
        connection.close()


def owner(path: str) -> int | None:
    """The process that works on a ledger; None where none does, 0 where it is not known which."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDONLY)
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


def _check(connection: sqlite3.Connection, path: str) -> None:
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as problem:
        raise ConfigurationError(f"{path} is not a ledger ({problem})") from problem
    if found != VERSION:
        raise ConfigurationError(
            f"{path} is of version {found}, and this release reads {VERSION};"
            " start the job once to bring an older one up to date"
        )


@contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """All of a block, or none of it.

    Args:
      connection: of this thread.
      durable: on the disk before the block is left; for what will be acknowledged.
    """
    if durable:
        connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    else:
        connection.execute("COMMIT")
    finally:
        if durable:
            connection.execute("PRAGMA synchronous = NORMAL")
