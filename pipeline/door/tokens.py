"""Access tokens that the door issues: signed rather than kept, so every instance knows them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

LIFE_SECONDS = 3600
"""How long a token is good for."""


class AccessTokens:
    """Issues tokens to sources, and knows its own again, also after a restart.

    Args:
      secrets: of each source that may have one; its tokens end when its secret is changed.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._keys = {
            name: hashlib.sha256(b"access token\0" + secret.encode()).digest()
            for name, secret in secrets.items()
        }

    def __repr__(self) -> str:
        """Without its keys."""
        return f"AccessTokens({', '.join(self._keys)})"

    def issue(self, source: str, now: float) -> str:
        """A new token of a source; `now` in seconds since the epoch."""
        said = f"{source}\n{int(now) + LIFE_SECONDS}".encode()
        return f"{_text(said)}.{_text(self._sign(source, said))}"

    def source_of(self, token: str, now: float) -> str | None:
        """The source that a token was issued to; None where it is none of ours, or over."""
        packed, _, signature = token.partition(".")
        try:
            said, signed = _bytes(packed), _bytes(signature)
            source, _, ends = said.decode().partition("\n")
            is_over = int(ends) <= now
        except (ValueError, binascii.Error):
            return None
        if source not in self._keys or not hmac.compare_digest(signed, self._sign(source, said)):
            return None
        return None if is_over else source

    def _sign(self, source: str, said: bytes) -> bytes:
        return hmac.new(self._keys[source], said, "sha256").digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
