"""``POST /oauth/token``: credentials for an access token (RFC 6749, sections 4.3 and 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from pipeline.door.authentication import basic_of, same
from pipeline.door.tokens import LIFE_SECONDS, AccessTokens

_INVALID: tuple[int, dict[str, Any]] = (401, {"error": "invalid_client"})


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """One source's credentials.

    Attributes:
      source: its name.
      client_id: of the client.
      client_secret: of the client.
      username: for the password grant; None where that is refused.
      password: for the password grant.
    """

    source: str
    client_id: str
    client_secret: str = field(repr=False)
    username: str | None = None
    password: str = field(default="", repr=False)


class TokenEndpoint:
    """Trades credentials for tokens.

    Args:
      clients: of all sources that have some.
      tokens: issues them.
    """

    def __init__(self, clients: list[OAuthClient], tokens: AccessTokens) -> None:
        self._clients = clients
        self._tokens = tokens

    def answer(
        self, headers: Mapping[str, str], body: bytes, now: float
    ) -> tuple[int, dict[str, Any]]:
        """The status and the content of an answer.

        Args:
          headers: of the request.
          body: form fields, or JSON.
          now: seconds since the epoch.
        """
        asked = _fields(body)
        client_id, secret = basic_of(headers)
        client_id = client_id or asked.get("client_id", "")
        secret = secret or asked.get("client_secret", "")
        # All of them are compared, so that the time says nothing of which exists.
        found = [
            each
            for each in self._clients
            if same(client_id, each.client_id) & same(secret, each.client_secret)
        ]
        if not found:
            return _INVALID
        client = found[0]
        match asked.get("grant_type", "client_credentials"):
            case "client_credentials":
                pass
            case "password" if client.username is not None:
                username, password = asked.get("username", ""), asked.get("password", "")
                if not same(username, client.username) & same(password, client.password):
                    return 400, {"error": "invalid_grant"}
            case _:
                return 400, {"error": "unsupported_grant_type"}
        return 200, {
            "access_token": self._tokens.issue(client.source, now),
            "token_type": "bearer",
            "expires_in": LIFE_SECONDS,
        }


def _fields(body: bytes) -> dict[str, str]:
    if body.lstrip()[:1] == b"{":
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
        return {key: each for key, each in value.items() if type(each) is str}
    try:
        return dict(parse_qsl(body.decode()))
    except UnicodeDecodeError:
        return {}
