"""Secrets in the environment's variables."""

from __future__ import annotations

import os

from transforms.errors import CredentialError


def read_variable(user: str, name: str) -> str:
    """Reads a secret from an environment variable.

    Raises:
      CredentialError: it is not set, or holds what cannot stand in an HTTP header.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise CredentialError(user, f"the environment variable {name} is not set", "set it")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise CredentialError(
            user, f"the environment variable {name} holds no token", "copy the token alone into it"
        )
    return value
