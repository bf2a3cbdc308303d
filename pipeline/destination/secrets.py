"""Secrets that a destination file names: from variables of the environment, files, stores."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from transforms.errors import ActivationError
from transforms.outreach.auth.token_store import open_store


def from_variable(name: str, environ: Mapping[str, str]) -> SecretStr | str:
    """The variable's value, or what is wrong with it."""
    value = environ.get(name)
    if value is None:
        return f"the environment variable {name} is not set; set it before starting"
    if not value.strip():
        return f"the environment variable {name} is empty; set it before starting"
    return SecretStr(value.strip())


def from_variable_or_file(
    key: str, variable: str | None, file: str | None, environ: Mapping[str, str]
) -> tuple[str, SecretStr | str]:
    """The key by which a secret is given, and the secret, or what is wrong with it."""
    if file is None:
        return f"{key}_env", from_variable(variable or "", environ)
    reading = from_store(file, "secret", "put it there")
    if isinstance(reading, SecretStr) and not reading.get_secret_value().strip():
        reading = f"the secret is empty ({file}); put it there"
    elif isinstance(reading, SecretStr):
        reading = SecretStr(reading.get_secret_value().strip())
    return f"{key}_file", reading


def from_store(path: str, what: str, remedy: str) -> SecretStr | str:
    """The text of a file or of a secret of Secret Manager, or what is wrong with it."""
    try:
        return SecretStr(open_store(path).read().decode("ascii"))
    except ActivationError as error:
        return f"the {what} cannot be read ({path}); {error}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        return f"the {what} cannot be read ({path}: {reason}); {remedy}"


def private_key(path: str) -> SecretStr | str:
    """The key in PEM, or what is wrong with it."""
    reading = from_store(path, "private key", "put the app's key there")
    if isinstance(reading, SecretStr) and "PRIVATE KEY-----" not in reading.get_secret_value():
        return f"the file holds no private key ({path}); it begins with -----BEGIN PRIVATE KEY-----"
    return reading
