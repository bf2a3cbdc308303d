"""Opening a ledger: one process works on it at a time, any number look."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from pipeline.ledger.schema import APPLICATION, VERSION, migrate, version_of
from transforms.errors import ConfigurationError

BUSY_SECONDS = 30.0
"""How long a transaction waits for another thread's to end."""
GLANCE_SECONDS = 0.05
"""Whoever looks whether a ledger is held (`pipeline.ledger.store.owner`) has it for less."""
WAL_BYTES = 64 * 2**20
"""To what the write-ahead log is cut back, once a large transaction has grown it."""
_OFF = (0,)
_WRITING = threading.RLock()
"""Held by the thread of this process that writes to a ledger."""


def connect(path: str, *, lasting: bool = True) -> sqlite3.Connection:
    """A connection to a ledger that was prepared, for one thread at a time.

    Args:
      path: of the ledger.
      lasting: what is committed `durable` outlives the machine's death. Where the whole folder
        may not, there is no use in waiting for the disk.

    Raises:
      sqlite3.DatabaseError: it is no database, or cannot be opened.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # Heeded by a file that is empty: so it can give back what a backlog took of the disk.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if lasting else 'OFF'}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # What is forgotten is to be gone from the file too, wherever it ever lay.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


_VARIABLES = 10_000


@contextmanager
def owned(path: str) -> Iterator[None]:
    """Prepares a ledger and holds it for this process until the block ends.

    Raises:
      ConfigurationError: another process holds it, it cannot be written, it was written by a
        newer release, or is no ledger.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        # By its one true name: two links to a ledger are one ledger.
        descriptor = os.open(f"{Path(path).resolve()}.lock", os.O_RDWR | os.O_CREAT, 0o600)
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
    except OSError as problem:
        raise ConfigurationError(
            f"ledger {path} cannot be locked ({problem.strerror}); name a file on a disk of this"
            " machine"
        ) from problem
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _prepare(path: str) -> None:
    try:
        # Receipts and dead letters hold what people are interested in: for the owner only.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # Before `connect`, which changes how a file is written, whosesoever it is.
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            version_of(connection, path)
        with closing(connect(path)) as connection:
            migrate(connection, path)
    except (OSError, sqlite3.DatabaseError) as problem:
        raise ConfigurationError(f"ledger {path} cannot be used: {problem}") from problem


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
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            (application,) = connection.execute("PRAGMA application_id").fetchone()
        except sqlite3.DatabaseError as problem:
            raise ConfigurationError(f"{path} is not a ledger ({problem})") from problem
        if application != APPLICATION:
            raise ConfigurationError(f"{path} is a database, but no ledger")
        if found != VERSION:
            raise ConfigurationError(
                f"{path} is of version {found}, and this release reads {VERSION};"
                " start the job once to bring an older one up to date"
            )
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """All of a block, or none of it.

    A commit outlives the death of the process. That of the machine it outlives if it is
    `durable`, with all commits before it; else the last ones may be missing.

    Args:
      connection: of this thread.
      durable: for what the world outside was told, or will be: an acknowledgement, a request.
    """
    # SQLite's own way to wait for another thread's end is to look again, ever less often.
    with _WRITING:
        yield from _transaction(connection, durable=durable)


def _transaction(connection: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    durable = durable and connection.execute("PRAGMA synchronous").fetchone() != _OFF
    if durable:
        connection.execute("PRAGMA synchronous = FULL")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # Where the disk is full, SQLite has rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    finally:
        if durable:
            connection.execute("PRAGMA synchronous = NORMAL")


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


def path_of(connection: sqlite3.Connection) -> str:
    """The path of a connection's ledger; empty where it is not in a file."""
    return str(connection.execute("PRAGMA database_list").fetchone()[2])


def object_of(connection: sqlite3.Connection) -> str | None:
    """Of which kind of object a ledger's ids are; None where none was written yet."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'object'").fetchone()
    return None if row is None else str(row[0])


def be_of(connection: sqlite3.Connection, kind: str) -> None:
    """Makes sure that a ledger is of one kind of object, within the caller's transaction.

    Raises:
      ConfigurationError: it is of another: the same ids would be others' records.
    """
    found = object_of(connection)
    if found is not None and found != kind:
        raise ConfigurationError(
            f"ledger {path_of(connection)} is of {found}s, and the destination writes {kind}s; name"
            " another ledger"
        )
    connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('object', ?)", (kind,))


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


SPARE_PAGES = 4_096
"""Free pages (4 KB each) that stay: what comes and goes all day finds its place on them."""


SPARE_SHARE = 0.25
"""Of all pages, that may be free."""


STEP_PAGES = 4_096
"""Given back in one go, which takes some 50 ms."""


def shrink(connection: sqlite3.Connection) -> bool:
    """Gives back some free pages where there are many; returns whether it did.

    They are used again by themselves; but after a backlog of millions there may never be as
    much to put on them. The file gets smaller with the next checkpoint.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    spare = max(SPARE_PAGES, int(pages * SPARE_SHARE))
    if free <= spare:
        return False
    # A script, because a statement of this kind goes on only for as long as it is stepped.
    connection.executescript(f"PRAGMA incremental_vacuum({min(STEP_PAGES, free - spare)});")
    return True


def marks(some: Sequence[object]) -> str:
    """Returns a question mark for each value, for SQL's `IN (...)`."""
    return ",".join("?" * len(some))


def chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    """Splits values so that each part fits into one statement: SQLite takes 32,766 variables."""
    for start in range(0, len(values), _VARIABLES):
        yield values[start : start + _VARIABLES]
