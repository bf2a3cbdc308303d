"""How an Outreach user is authenticated: one small interface, and its kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from transforms.errors import CredentialError
from transforms.outreach.environment import read_variable
from transforms.outreach.oauth import OAuthAuth, OAuthCredential
from transforms.outreach.s2s import S2SAuth, S2SCredential

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
    """A token that somebody else keeps fresh, in an environment variable."""

    token_env: str

    def credential(self, user: str, base_url: str) -> BearerCredential:
        """See `Auth`; the token goes to no other address than its requests."""
        del base_url
        return BearerCredential(user, self.token_env)


@dataclass(slots=True)
class BearerCredential:
    """See `BearerAuth`; the variable is read when the token is first asked for."""

    user: str
    token_env: str
    _token: str = field(default="", repr=False)

    async def token(self, now: float) -> str:
        """See `Credential`."""
        del now
        if not self._token:
            self._token = read_variable(self.user, self.token_env)
        return self._token

    async def refused(self, token: str, now: float) -> None:
        """See `Credential`; always raises."""
        del token, now
        raise CredentialError(
            self.user,
            "Outreach refuses its access token, which has expired or is not one",
            f"put a fresh one into the environment variable {self.token_env}",
        )
