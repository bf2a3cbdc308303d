"""Where tokens outlive a process: a local file, or a secret in Google Secret Manager.

A store is shared by whoever knows its path: threads, processes, workers. So it has a lock,
which is held while a refresh token is exchanged, since such a token works once. All calls
block and are for a thread of their own.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO, Protocol

from transforms.errors import ConfigurationError

SECRET_PREFIX = "projects/"  # noqa: S105 - of a resource name, no secret


class TokenStore(Protocol):
    """Keeps a few hundred bytes, and one lock."""

    def read(self) -> bytes:
        """What was last written.

        Raises:
          FileNotFoundError: nothing was.
          OSError: it cannot be read.
          Trouble: it cannot be reached just now.
        """

    def write(self, content: bytes) -> None:
        """Replaces what is stored; it is durable, and whole, or nothing has changed.

        Raises:
          OSError: it cannot be written.
          Trouble: it cannot be reached just now.
        """

    def try_lock(self, now: float) -> bool:
        """Takes the lock, if nobody holds it at `now`; who dies lets go of it."""

    def unlock(self) -> None:
        """Lets go of the lock."""


def open_store(path: str) -> TokenStore:
    """The store at a path: ``projects/P/secrets/S`` of Secret Manager, else a local file.

    Raises:
      ConfigurationError: no kind of store has such a path, or its package is missing.
    """
    if path.startswith(SECRET_PREFIX):
        from transforms.outreach.auth.secret_manager import SecretStore  # noqa: PLC0415 - has an extra

        return SecretStore(path)
    if "://" in path:
        raise ConfigurationError(
            f"tokens cannot be kept at {path}: name a local file, or a secret of "
            "Google Secret Manager as projects/PROJECT/secrets/SECRET"
        )
    return FileStore(path)


class FileStore:
    """A file that only its owner may read, replaced as a whole; beside it one for the lock."""

    def __init__(self, path: str) -> None:
        # What a link points at is replaced, and locked, not the link.
        self._path = Path(path).resolve()
        self._lock: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    def read(self) -> bytes:
        """See `TokenStore`."""
        return self._path.read_bytes()

    def write(self, content: bytes) -> None:
        """See `TokenStore`; the file is made with mode 0600."""
        handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)  # noqa: PTH105 - the same in fewer steps
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def try_lock(self, now: float) -> bool:
        """See `TokenStore`; the lock ends with the process."""
        del now
        path = self._path.with_name(f"{self._path.name}.lock")
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def unlock(self) -> None:
        """See `TokenStore`."""
        if self._lock is not None:
            # Explicitly: a child process may have the same open file.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._lock.close()
            self._lock = None
