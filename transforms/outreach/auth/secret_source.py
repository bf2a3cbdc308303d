"""Where one secret is read from: the environment, a file, or Google Secret Manager."""

from __future__ import annotations

import os
from dataclasses import dataclass

from transforms.errors import ConfigurationError, CredentialError
from transforms.outreach.auth.token_store import SECRET_PREFIX, open_store


@dataclass(frozen=True, slots=True)
class SecretSource:
    """A variable of the environment, or a path; holds no secret itself. One of the two is given.

    Attributes:
      variable: its name.
      path: a local file, or ``projects/P/secrets/S``, of which the latest version is read.

    Raises:
      ConfigurationError: both are given, or neither.
    """

    variable: str | None
    path: str | None

    def __post_init__(self) -> None:
        if (self.variable is None) == (self.path is None):
            raise ConfigurationError(
                "a secret is in an environment variable, or in a file or Secret Manager; name one"
            )

    def __str__(self) -> str:
        if self.path is None:
            return f"the environment variable {self.variable}"
        kind = "secret" if self.path.startswith(SECRET_PREFIX) else "file"
        return f"the {kind} {self.path}"

    def read(self, user: str) -> str:
        """Reads the secret; blocks, where it is not in the environment.

        Args:
          user: the user's name, for messages.

        Raises:
          CredentialError: it is not there, or not what can stand in an HTTP header.
          Trouble: it cannot be reached just now.
        """
        value = self._variable(user) if self.path is None else self._stored(user, self.path)
        if not (value.isascii() and value.isprintable() and " " not in value):
            raise CredentialError(user, f"{self} holds no token", "copy the token alone into it")
        return value

    def _variable(self, user: str) -> str:
        value = os.environ.get(self.variable or "", "").strip()
        if not value:
            raise CredentialError(user, f"{self} is not set", "set it")
        return value

    def _stored(self, user: str, path: str) -> str:
        try:
            value = open_store(path).read().decode("ascii", "replace").strip()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise CredentialError(
                user, f"{self} cannot be read ({why})", "put it there, readable by this account"
            ) from None
        except ConfigurationError as error:
            raise CredentialError(user, f"{self} cannot be read", str(error)) from None
        if not value:
            raise CredentialError(user, f"{self} is empty", "put the secret there")
        return value
