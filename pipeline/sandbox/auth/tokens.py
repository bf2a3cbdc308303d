"""Whose bearer token it is, what it allows and until when. No clock: ``now`` is passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SCOPES = (
    "prospects.read",
    "prospects.write",
    "prospects.delete",
    "accounts.read",
    "accounts.write",
    "accounts.delete",
    "users.read",
    "batches.read",
    "batches.write",
    "batches.delete",
)
"""Scopes that the sandbox knows. None implies another; ``prospects.all`` is all three."""

_BEARER = "bearer "


@dataclass(slots=True)
class TokenGrant:
    """What an access token stands for.

    Attributes:
      user: whose budget its requests spend.
      scopes: what it allows, with each ``.all`` spelled out.
      expires_at: epoch seconds; None for a token that lasts.
    """

    user: str
    scopes: frozenset[str]
    expires_at: float | None = None


class TokenRegistry:
    """Every access token in force.

    Args:
      named: token to user name. Where empty, any token is taken, and each one not seen
        before is a user of its own.
      scopes: what those tokens allow; tokens that OAuth issues bring their own.
    """

    def __init__(self, named: Mapping[str, str], scopes: Iterable[str]) -> None:
        self._open = not named
        self._scopes = spelled_out(scopes)
        self._grants = {token: TokenGrant(user, self._scopes) for token, user in named.items()}
        self._dead: set[str] = set()
        self._strangers = 0

    def identify(self, authorization: str, now: float) -> TokenGrant | str:
        """The grant behind an Authorization header, or why there is none."""
        token = bearer(authorization)
        if not token:
            return "The JWT token is missing."
        grant = self._grants.get(token)
        if grant is None:
            if not self._open or token in self._dead:
                return "The JWT token could not be decoded."
            self._strangers += 1
            grant = TokenGrant(f"user-{self._strangers}", self._scopes)
            self._grants[token] = grant
        if grant.expires_at is not None and now >= grant.expires_at:
            return "The JWT token has expired."
        return grant

    def issue(self, token: str, grant: TokenGrant) -> None:
        """Puts a token in force."""
        self._grants[token] = grant

    def expire(self, user: str, now: float) -> int:
        """Lets a user's tokens expire now; returns how many did."""
        grants = [grant for grant in self._grants.values() if grant.user == user]
        for grant in grants:
            grant.expires_at = now
        return len(grants)

    def revoke(self, user: str) -> int:
        """Ends a user's tokens for good; returns how many there were."""
        tokens = [token for token, grant in self._grants.items() if grant.user == user]
        for token in tokens:
            self.end(token)
        return len(tokens)

    def end(self, token: str) -> None:
        """Ends one token for good."""
        self._grants.pop(token, None)
        self._dead.add(token)

    def users(self) -> list[str]:
        """Names of all users, each once, in order of appearance."""
        return list(dict.fromkeys(grant.user for grant in self._grants.values()))


def bearer(authorization: str) -> str:
    """The token of an Authorization header; empty where it carries none."""
    return authorization[7:].strip() if authorization[:7].lower() == _BEARER else ""


def spelled_out(scopes: Iterable[str]) -> frozenset[str]:
    """Scopes with each ``.all`` as its three parts; unknown ones stand for nothing here."""
    given = set(scopes)
    return frozenset(
        scope for scope in SCOPES if scope in given or f"{scope.split('.')[0]}.all" in given
    )
