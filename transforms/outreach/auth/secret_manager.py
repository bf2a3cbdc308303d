"""Tokens in Google Secret Manager, for workers on many machines."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError

from transforms.errors import ConfigurationError, Trouble

_LEASE: Final = "outreach-activation.lease"
_VERSION: Final = "outreach-activation.version"
_LEASE_SECONDS: Final = 300.0
"""Longer than a renewal can take; so long is the wait after a worker that died within one."""
_CALL_SECONDS: Final = 10.0
_KEPT_VERSIONS: Final = 2
"""A reader may still be told that the version before the newest is the latest."""


class SecretStore:
    """A secret: each write adds a version, and the lock is a lease in its annotations.

    Secret Manager promises that a version is there by its number at once, but that it is
    the ``latest``, and what annotations say, only after a while. An annotation can be
    changed only by who has seen its last state, though (by its etag). So whoever gets the
    lock knows what its last holder noted there: the number of the version to read.

    Needs the permissions of Secret Manager's roles secretAccessor and secretVersionManager
    on this secret, and ``secretmanager.secrets.get`` and ``.update``.

    Args:
      path: ``projects/P/secrets/S``; a ``/versions/…`` after it is ignored.
      client: a ``SecretManagerServiceClient``; by default, with the credentials of the
        machine it runs on.

    Raises:
      ConfigurationError: the package of Secret Manager's client is missing.
    """

    def __init__(self, path: str, client: Any = None) -> None:  # noqa: ANN401 - has no types here
        self._secret = path.partition("/versions/")[0].rstrip("/")
        self._client = client
        self._owner = secrets.token_hex(8)
        self._version = 0
        if client is None:
            try:
                self._module = import_module("google.cloud.secretmanager")
            except ImportError:
                raise ConfigurationError(
                    f"{path} is in Google Secret Manager, whose client is not installed; "
                    "install outreach-activation[dataflow]"
                ) from None

    def __repr__(self) -> str:
        return f"SecretStore({self._secret!r})"

    def read(self) -> bytes:
        """See `TokenStore`."""
        with _explained():
            found = self._access("latest")
            if _number(found.name) < self._version:
                found = self._access(str(self._version))
        return bytes(found.payload.data)

    def write(self, content: bytes) -> None:
        """See `TokenStore`."""
        with _explained():
            added = self._calls().add_secret_version(
                parent=self._secret, payload={"data": content}, timeout=_CALL_SECONDS
            )
        self._version = _number(added.name)
        # One left behind costs a little money and opens nothing: its tokens were replaced.
        with suppress(exceptions.GoogleAPICallError, GoogleAuthError):
            old = self._version - _KEPT_VERSIONS
            if old > 0:
                self._calls().destroy_secret_version(
                    name=f"{self._secret}/versions/{old}", timeout=_CALL_SECONDS
                )

    def try_lock(self, now: float) -> bool:
        """See `TokenStore`; the lock of a worker that died ends after five minutes."""
        with _explained():
            secret = self._calls().get_secret(name=self._secret, timeout=_CALL_SECONDS)
            lease = secret.annotations.get(_LEASE, "")
            if lease and float(lease.partition(" ")[0]) > now:
                return False
            self._version = int(secret.annotations.get(_VERSION, "0"))
            return self._annotate(secret, f"{now + _LEASE_SECONDS:.0f} {self._owner}")

    def unlock(self) -> None:
        """See `TokenStore`; a lease that cannot be given up runs out."""
        with suppress(exceptions.GoogleAPICallError, GoogleAuthError):
            secret = self._calls().get_secret(name=self._secret, timeout=_CALL_SECONDS)
            if secret.annotations.get(_LEASE, "").endswith(f" {self._owner}"):
                self._annotate(secret, "")

    def _annotate(self, secret: Any, lease: str) -> bool:  # noqa: ANN401 - as above
        annotations = {**secret.annotations, _LEASE: lease, _VERSION: str(self._version)}
        try:
            self._calls().update_secret(
                secret={"name": self._secret, "etag": secret.etag, "annotations": annotations},
                update_mask={"paths": ["annotations"]},
                timeout=_CALL_SECONDS,
            )
        except (exceptions.Aborted, exceptions.FailedPrecondition):
            return False  # somebody else was quicker
        return True

    def _access(self, version: str) -> Any:  # noqa: ANN401 - as above
        name = f"{self._secret}/versions/{version}"
        return self._calls().access_secret_version(name=name, timeout=_CALL_SECONDS)

    def _calls(self) -> Any:  # noqa: ANN401 - as above
        if self._client is None:
            self._client = self._module.SecretManagerServiceClient()
        return self._client


@contextmanager
def _explained() -> Iterator[None]:
    """Turns the client's errors into what a `TokenStore` raises."""
    try:
        yield
    except (exceptions.NotFound, exceptions.FailedPrecondition):
        raise FileNotFoundError(errno.ENOENT, "the secret has no such version") from None
    except (
        exceptions.ServerError,
        exceptions.TooManyRequests,
        exceptions.RetryError,
        TransportError,
    ) as error:
        raise Trouble(f"Secret Manager cannot be reached ({type(error).__name__})") from None
    except (exceptions.ClientError, GoogleAuthError) as error:
        why = f"Secret Manager refuses it: {type(error).__name__}"
        raise PermissionError(errno.EACCES, why) from None


def _number(version: str) -> int:
    return int(version.rpartition("/")[2])
