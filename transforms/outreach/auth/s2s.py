"""An Outreach application that authenticates itself, without a user: server to server."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Final
from urllib.parse import quote

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.token_store import open_store
from transforms.outreach.client import OutreachClient, Reply
from transforms.outreach.error_body import read_error_body

_LIFE_SECONDS: Final = 3600.0
"""As Outreach documents; it does not say so with the token."""
_FRESH_SECONDS: Final = 0.9 * _LIFE_SECONDS
_RETRY_SECONDS: Final = 60.0
"""At least so long between two requests for a token, as for a user's."""
_HEADER: Final = {"alg": "RS256", "typ": "JWT"}
_ASSERTION_SECONDS: Final = 300
_SKEW_SECONDS: Final = 30
"""An assertion is dated back, lest a server whose clock is behind finds it not yet good."""


@dataclass(frozen=True, slots=True)
class S2SAuth:
    """An application's installation and the key that it signs with.

    Attributes:
      install_id: of the installation.
      issuer: the application's identifier.
      private_key_file: an RSA key in PEM: a local file, or a secret of Secret Manager.
    """

    install_id: str
    issuer: str
    private_key_file: str

    def credential(self, user: str, base_url: str) -> S2SCredential:
        """See `transforms.outreach.auth.credentials.Auth`."""
        return S2SCredential(self, user, OutreachClient(base_url))


class S2SCredential:
    """Keeps an application's access token, in memory only: the key can always get another.

    Args:
      auth: what to read.
      user: the user's name, for messages.
      client: by which tokens are asked for; closed after each request.
    """

    def __init__(self, auth: S2SAuth, user: str, client: OutreachClient) -> None:
        self._auth = auth
        self._user = user
        self._client = client
        self._turn = asyncio.Lock()
        self._token = ""
        self._fresh_until = 0.0
        self._ends_at = 0.0
        self._answered_at = -inf

    def __repr__(self) -> str:
        return f"S2SCredential(user={self._user!r}, install_id={self._auth.install_id!r})"

    async def token(self, now: float) -> str:
        """See `transforms.outreach.auth.credentials.Credential`."""
        if now < self._fresh_until:
            return self._token
        async with self._turn:
            if now >= self._fresh_until:
                try:
                    await self._renew(now)
                except Trouble:
                    if now >= self._ends_at:
                        raise
                    self._fresh_until = min(self._ends_at, now + _RETRY_SECONDS)
            return self._token

    async def refused(self, token: str, now: float) -> None:
        """See `transforms.outreach.auth.credentials.Credential`."""
        async with self._turn:
            if token == self._token:
                self._fresh_until = self._ends_at = 0.0
                await self._renew(now)

    async def _renew(self, now: float) -> None:
        wait_seconds = self._answered_at + _RETRY_SECONDS - now
        if wait_seconds > 0:
            raise Trouble(f"the next token of {self._user!r} is due in {wait_seconds:.0f} s")
        assertion = await asyncio.to_thread(self._assertion, now)
        install = quote(self._auth.install_id, safe="")
        path = f"/api/app/installs/{install}/actions/accessToken"
        async with self._client as client:
            reply = await client.request("POST", path, assertion)
        self._answered_at = now
        self._token = self._read(reply)
        self._fresh_until, self._ends_at = now + _FRESH_SECONDS, now + _LIFE_SECONDS

    def _assertion(self, now: float) -> str:
        """A JWT of RFC 7519, signed RS256; good for a few minutes."""
        issued = int(now) - _SKEW_SECONDS
        claims = {"iat": issued, "exp": issued + _ASSERTION_SECONDS, "iss": self._auth.issuer}
        signed = b".".join(_segment(orjson.dumps(part)) for part in (_HEADER, claims))
        signature = self._key().sign(signed, PKCS1v15(), SHA256())
        return (signed + b"." + _segment(signature)).decode()

    def _key(self) -> RSAPrivateKey:
        path = self._auth.private_key_file
        try:
            key = load_pem_private_key(open_store(path).read(), password=None)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise self._refusal(f"its private key {path} cannot be read ({why})") from None
        except (ValueError, TypeError):  # not PEM; PEM with a password
            raise self._refusal(f"{path} is not a private key in PEM without a password") from None
        if not isinstance(key, RSAPrivateKey):
            raise self._refusal(f"{path} is not an RSA key, which RS256 needs")
        return key

    def _read(self, reply: Reply) -> str:
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            try:
                token = orjson.loads(reply.body)["data"]["meta"]["accessToken"]
            except (ValueError, KeyError, TypeError):
                token = None
            if isinstance(token, str) and token.isascii() and token.isprintable():
                return token
            raise Trouble("the token endpoint's answer holds no data.meta.accessToken")
        said = read_error_body(reply.body).text or "it did not say why"
        problem = f"the token endpoint answered {reply.status} ({said})"
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS or reply.status >= 500:  # noqa: PLR2004
            raise Trouble(problem)
        raise self._refusal(problem)

    def _refusal(self, problem: str) -> CredentialError:
        remedy = "check install_id, issuer and private_key_file in the destination file"
        return CredentialError(self._user, problem, remedy)


def _segment(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")
