"""An OAuth authorization request, and the answer that comes back by way of a browser.

RFC 6749 (4.1, the authorization code) and RFC 7636 (PKCE). No I/O, no clock.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from transforms.errors import ActivationError
from transforms.outreach.error_body import bounded

SCOPES: Final = ("prospects.read", "prospects.write", "users.read")
"""What is asked for where nothing is said: to write prospects, and to read before writing.

Outreach's scopes do not include one another: who may write may not read for that.
"""
BULK_SCOPES: Final = ("batches.read", "batches.write")
"""What bulk actions need besides."""


def scopes_for(kind: str, *, bulk: bool, accounts: Sequence[str] = ()) -> tuple[str, ...]:
    """The scopes that a destination needs.

    Args:
      kind: the object that it writes, ``prospect`` or ``account``.
      bulk: whether by bulk actions.
      accounts: what tying prospects to their accounts takes besides.
    """
    scopes = tuple(each.replace("prospects", f"{kind}s") for each in SCOPES)
    return (*scopes, *accounts, *(BULK_SCOPES if bulk else ()))


_STATE_BYTES: Final = 24
_VERIFIER_BYTES: Final = 48
"""64 characters; RFC 7636 wants 43 to 128."""


class AnswerError(ActivationError):
    """The browser brought no code, or one that was not asked for."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request to let an application in; made afresh each time.

    Attributes:
      state: comes back with the answer, and so shows which request it answers.
      code_verifier: proves to the token endpoint who asked; None without PKCE.
    """

    state: str = field(repr=False)
    code_verifier: str | None = field(repr=False)

    @classmethod
    def fresh(cls, *, with_pkce: bool = True) -> Self:
        """A request that nobody can guess."""
        verifier = secrets.token_urlsafe(_VERIFIER_BYTES) if with_pkce else None
        return cls(secrets.token_urlsafe(_STATE_BYTES), verifier)

    def address(
        self, base_url: str, client_id: str, redirect_uri: str, scopes: Sequence[str]
    ) -> str:
        """The page on which a person allows it; holds no secret.

        Args:
          base_url: of the API, without a trailing slash.
          client_id: the application's.
          redirect_uri: where the browser is sent with the answer.
          scopes: at least one.
        """
        query = {
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(scopes),
            "state": self.state,
        }
        if self.code_verifier is not None:
            digest = sha256(self.code_verifier.encode()).digest()
            query["code_challenge"] = urlsafe_b64encode(digest).rstrip(b"=").decode()
            query["code_challenge_method"] = "S256"
        return f"{base_url}/oauth/authorize?{urlencode(query)}"

    def read_code(self, answer: Mapping[str, str]) -> str:
        """The authorization code of an answer.

        Raises:
          AnswerError: the request was refused, or another one was answered.
        """
        state = answer.get("state")
        # Not every server repeats the state with a refusal, from which nobody gains anything.
        if state is None and "error" in answer:
            state = self.state
        if state is None or not hmac.compare_digest(state.encode(), self.state.encode()):
            raise AnswerError(
                "the answer that came is not to this request (its state differs), so nothing was"
                " taken from it; run connect again, and use only the page that it opens"
            )
        error = answer.get("error")
        if error == "access_denied":
            raise AnswerError("access was denied in Outreach; run connect again to allow it")
        if error == "invalid_scope":
            raise AnswerError(
                "Outreach does not let this application ask for these scopes; choose them in the"
                " application's settings, or ask for others with --scope"
            )
        if error is not None:
            said = bounded(": ".join(filter(None, (error, answer.get("error_description")))))
            raise AnswerError(f"Outreach did not let the application in ({said})")
        return answer["code"]


def read_answer(query: str) -> dict[str, str] | None:
    """The answer in an address's query; None where there is none in it."""
    answer = dict(parse_qsl(query))
    return answer if "code" in answer or "error" in answer else None


def read_pasted_answer(text: str) -> dict[str, str] | None:
    """The answer in an address as a person pasted it; None where there is none in it."""
    try:
        return read_answer(urlsplit(text.strip().strip("'\"<>")).query)
    except ValueError:
        return None
