"""How an Outreach user is authenticated: one small interface, and its kinds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from transforms.errors import CredentialError
from transforms.outreach.auth.oauth import OAuthAuth, OAuthCredential
from transforms.outreach.auth.s2s import S2SAuth, S2SCredential
from transforms.outreach.auth.secret_source import SecretSource

__all__ = [
    "Auth",
    "BearerAuth",
    "BearerCredential",
    "Credential",
    "OAuthAuth",
    "OAuthCredential",
    "S2SAuth",
    "S2SCredential",
]


class Credential(Protocol):
    """Gives the access token of one user. Lives on a worker; no secret is in its repr."""

    async def token(self, now: float) -> str:
        """A token that is good at `now`, in epoch seconds.

        Raises:
          CredentialError: there is none, and a person has to mend that.
          Trouble: there is none just now.
        """

    async def refused(self, token: str, now: float) -> None:
        """This token was answered 401: another is made ready, where the kind has another.

        Raises:
          CredentialError: there is no other, and a person has to mend that.
          Trouble: there is no other just now.
        """


class Auth(Protocol):
    """Where a user's credential is read from; picklable, since it holds no secret itself."""

    def credential(self, user: str, base_url: str) -> Credential:
        """The credential, to be made where it is used.

        Args:
          user: the user's name, for messages.
          base_url: of the API, whose token endpoint this is.
        """


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A token that somebody else keeps fresh; either is given.

    Attributes:
      token_env: the environment variable that holds it.
      token_file: the file or the secret of Secret Manager that does; see `SecretSource`.
    """

    token_env: str | None = None
    token_file: str | None = None

    def __post_init__(self) -> None:
        self.source()

    def source(self) -> SecretSource:
        """Where the token is.

        Raises:
          ConfigurationError: both are given, or neither.
        """
        return SecretSource(self.token_env, self.token_file)

    def credential(self, user: str, base_url: str) -> BearerCredential:
        """See `Auth`; the token goes to no other address than its requests."""
        del base_url
        return BearerCredential(user, self.source())


@dataclass(slots=True)
class BearerCredential:
    """See `BearerAuth`; the token is read when it is first asked for, and when it is refused."""

    user: str
    source: SecretSource
    _token: str = field(default="", repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def token(self, now: float) -> str:
        """See `Credential`."""
        del now
        if not self._token:
            async with self._turn:
                if not self._token:
                    self._token = await asyncio.to_thread(self.source.read, self.user)
        return self._token

    async def refused(self, token: str, now: float) -> None:
        """See `Credential`; there is another where a fresh one was put in its place."""
        del now
        async with self._turn:
            if self._token in ("", token):
                self._token = await asyncio.to_thread(self.source.read, self.user)
            if self._token == token:
                # A process sees no change of its environment.
                again = " and start again" if self.source.path is None else ""
                raise CredentialError(
                    self.user,
                    "Outreach refuses its access token, which has expired or is not one",
                    f"put a fresh one into {self.source}{again}",
                )
