"""The access token that one user's requests carry; replaced once when it is refused."""

from __future__ import annotations

from transforms.errors import CredentialError
from transforms.outreach.auth.credentials import Credential

_REMEDY = "connect the user again, or check its auth in the destination file"


class AccessToken:
    """Shows a user's token; tells a token that ended from a user whom Outreach lets in no more.

    Args:
      user: the user's name, for messages.
      credential: of this user.
    """

    def __init__(self, user: str, credential: Credential) -> None:
        self._user = user
        self._credential = credential
        self._shown = ""
        self._replaced = ""

    @property
    def unproven(self) -> bool:
        """Whether the last token was refused, and no request let in since."""
        return bool(self._replaced)

    async def show(self, now: float) -> str:
        """The token for the next request; may take minutes, where it has to be renewed.

        Raises:
          CredentialError: there is none, and a person has to mend that.
          Trouble: there is none just now.
        """
        token = await self._credential.token(now)
        if token == self._replaced:
            raise CredentialError(
                self._user, "its access token is refused, and there is no other", _REMEDY
            )
        self._shown = token
        return token

    def accepted(self, token: str) -> None:
        """A request that carried this token was let in."""
        if token == self._shown:
            self._replaced = ""

    async def refused(self, token: str, why: str, now: float) -> None:
        """A request that carried this token was answered 401: another is made ready, once.

        Raises:
          CredentialError: that was a fresh token already, or there is no other.
          Trouble: there is no other just now.
        """
        if token in (self._replaced, "") or token != self._shown:
            return  # A late answer: what it says is known.
        if self._replaced:
            raise CredentialError(self._user, f"a fresh token is refused too: {why}", _REMEDY)
        await self._credential.refused(token, now)
        if token == self._shown:  # else another was shown meanwhile
            self._replaced = token
