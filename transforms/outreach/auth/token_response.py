"""What OAuth's token endpoint answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Self

import orjson

_LIFE_SECONDS: Final = 7200.0
_RENEW_AT: Final = 0.9
"""Of a token's life: early enough to fail a few times before its end."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """An answer of the token endpoint.

    Attributes:
      access_token: a secret.
      refresh_token: a secret that works once.
      created_at: epoch seconds, by the server's clock.
      expires_in: seconds.
      content: the answer as it came.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    created_at: float
    expires_in: float
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, content: bytes, *, refresh_token: str = "", created_at: float = 0.0) -> Self:
        """Reads an answer.

        Args:
          content: JSON.
          refresh_token: the one that was exchanged, which stays good if no other came.
          created_at: when the answer came, if it does not say.

        Raises:
          ValueError: it holds no access token; its text repeats nothing of it.
        """
        try:
            found = orjson.loads(content)
        except ValueError:
            raise ValueError("it is not JSON") from None
        if not isinstance(found, dict) or not _is_token(found.get("access_token")):
            raise ValueError("it holds no access_token")
        missing = {"refresh_token": refresh_token, "created_at": created_at}
        missing = {name: value for name, value in missing.items() if value and name not in found}
        if missing:
            found |= missing
            content = orjson.dumps(found)
        renewing = found.get("refresh_token")
        return cls(
            found["access_token"],
            str(renewing) if _is_token(renewing) else "",
            _seconds(found.get("created_at"), 0.0),
            _seconds(found.get("expires_in"), _LIFE_SECONDS),
            content,
        )

    @property
    def renew_in(self) -> float:
        """Seconds after which the next is to be asked for."""
        return self.expires_in * _RENEW_AT

    @property
    def renew_at(self) -> float:
        """When the next is to be asked for, in epoch seconds."""
        return self.created_at + self.renew_in

    @property
    def ends_at(self) -> float:
        """When this one is no longer good."""
        return self.created_at + self.expires_in


def _is_token(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and bool(value)


def _seconds(value: object, default: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return default


def read_scopes(tokens: bytes) -> frozenset[str] | None:
    """The scopes in a token endpoint's answer; None where it does not say.

    Args:
      tokens: the answer as it came, and as a token store keeps it.
    """
    try:
        scope = orjson.loads(tokens).get("scope")
    except (ValueError, AttributeError):
        return None
    return frozenset(scope.split()) if isinstance(scope, str) and scope.strip() else None


def allows(granted: Collection[str], scope: str) -> bool:
    """Whether the granted scopes have one such as ``prospects.write`` among them."""
    return scope in granted or f"{scope.partition('.')[0]}.all" in granted
