"""How a source shows who it is, compared in constant time; no I/O.

What was wrong is never said, and neither are secrets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.destination.keys.sources import (
    BasicSource,
    BearerSource,
    HeaderSource,
    HmacSource,
    OAuthClientSource,
    Source,
)
from pipeline.door.tokens import AccessTokens


class SignIn(Protocol):
    """Tells whether a request comes from whom it says."""

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """Whether a request with these headers and this body does; `now` in seconds."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in the header Authorization."""

    token: str = field(repr=False)

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del body, now
        return _same(bearer_of(headers), self.token)


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and a password in the header Authorization."""

    username: str
    password: str = field(repr=False)

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del body, now
        username, password = basic_of(headers)
        # Both are compared, whatever the first says.
        return _same(username, self.username) & _same(password, self.password)


@dataclass(frozen=True, slots=True)
class Header:
    """A secret in a header."""

    header: str
    value: str = field(repr=False)

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del body, now
        return _same(headers.get(self.header, ""), self.value)


@dataclass(frozen=True, slots=True)
class Signature:
    """An HMAC over the raw body, as it was sent."""

    header: str
    algorithm: str
    encoding: str
    prefix: str
    secret: str = field(repr=False)

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del now
        digest = hmac.new(self.secret.encode(), body, self.algorithm).digest()
        if self.encoding == "hex":
            expected = digest.hex()
            given = headers.get(self.header, "").lower()
            return _same(given, self.prefix.lower() + expected)
        expected = base64.b64encode(digest).decode()
        return _same(headers.get(self.header, ""), self.prefix + expected)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that `/oauth/token` issued to this source."""

    source: str
    tokens: AccessTokens

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del body
        return self.tokens.source_of(bearer_of(headers), now) == self.source


@dataclass(frozen=True, slots=True)
class Anyone:
    """Nothing is asked: the address or the client's certificate says enough."""

    def admits(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """See `SignIn`."""
        del headers, body, now
        return True


def sign_in_of(source: Source, secrets: Mapping[str, str], tokens: AccessTokens) -> SignIn:
    """How a source signs in.

    Args:
      source: of the destination.
      secrets: environment variables.
      tokens: of the clients that trade their credentials for one.
    """
    match source.auth:
        case BearerSource(token_env=variable):
            return Bearer(secrets[variable])
        case BasicSource(username=username, password_env=variable):
            return Basic(username, secrets[variable])
        case HeaderSource(header=header, value_env=variable):
            return Header(header, secrets[variable])
        case HmacSource() as signed:
            secret = secrets[signed.secret_env]
            return Signature(
                signed.header, signed.algorithm, signed.encoding, signed.prefix, secret
            )
        case OAuthClientSource():
            return IssuedToken(source.name, tokens)
        case _:
            return Anyone()


def bearer_of(headers: Mapping[str, str]) -> str:
    """The token in the header Authorization; empty where there is none."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def basic_of(headers: Mapping[str, str]) -> tuple[str, str]:
    """Returns user name and password from the Authorization header; empty if there are none."""
    kind, _, packed = headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(packed.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    username, _, password = text.partition(":")
    return username, password


def same(given: str, expected: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return _same(given, expected)


def _same(given: str, expected: str) -> bool:
    digests = (hashlib.sha256(each.encode(errors="replace")).digest() for each in (given, expected))
    return hmac.compare_digest(*digests)
