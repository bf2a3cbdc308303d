"""Server-to-server tokens: a signed assertion for an access token that lasts an hour."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pipeline.sandbox.auth.tokens import SCOPES, TokenGrant, TokenRegistry
from pipeline.sandbox.responses import ApiResponse, bad_token, document
from transforms.errors import ConfigurationError

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature (second) is that of a message (first)."""

_TOKEN_SECONDS = 3_600
_SKEW_SECONDS = 60
_SEGMENTS = 3


def verifier(path: Path) -> Verify:
    """Reads a public key in PEM that RS256 signatures are checked against.

    Raises:
      ConfigurationError: the file holds no such key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        raise ConfigurationError(f"{path}: not a public key in PEM") from None
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(f"{path}: not an RSA key, which RS256 needs")

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    return verify


def exchange_assertion(
    assertion: str, install_id: str, tokens: TokenRegistry, verify: Verify, now: float
) -> ApiResponse:
    """Answers ``POST /api/app/installs/{install_id}/actions/accessToken``.

    The assertion is a JWT signed RS256 with ``iat``, ``exp`` and ``iss``; its user is
    named after the installation.
    """
    problem = _refused(assertion, verify, now)
    if problem:
        return bad_token(problem)
    token = secrets.token_urlsafe(32)
    tokens.issue(token, TokenGrant(f"s2s-{install_id}", frozenset(SCOPES), now + _TOKEN_SECONDS))
    data = {"type": "installs", "id": install_id, "meta": {"accessToken": token}}
    return document(200, {"data": data})


def _refused(assertion: str, verify: Verify, now: float) -> str:
    segments = assertion.split(".")
    if len(segments) != _SEGMENTS:
        return "The JWT token could not be decoded."
    try:
        header, claims, signature = (_decoded(each) for each in segments)
        algorithm = orjson.loads(header)["alg"]
        claimed = orjson.loads(claims)
        issued, expires = float(claimed["iat"]), float(claimed["exp"])
    except (ValueError, KeyError, TypeError):
        return "The JWT token could not be decoded."
    message = assertion.rpartition(".")[0].encode()
    if algorithm != "RS256" or not verify(message, signature):
        return "The JWT token's signature is invalid."
    if expires <= now or issued > now + _SKEW_SECONDS:
        return "The JWT token has expired."
    return "" if claimed.get("iss") else "The JWT token names no issuer."


def _decoded(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
