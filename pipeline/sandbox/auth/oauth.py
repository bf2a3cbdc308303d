"""Outreach's OAuth: consent, authorization codes, and refresh tokens that work once.

No clock: ``now`` is epoch seconds. Lifetimes and the one token request a minute, user
and application are Outreach's documented ones, and can be shortened for a test.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import orjson

from pipeline.sandbox.auth.tokens import TokenGrant, TokenRegistry, spelled_out
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.request_log import LoggedRequest, RequestLog
from pipeline.sandbox.responses import ApiRequest, ApiResponse, json_answer, plain

_CODE_SECONDS = 600
_LIVE_TOKENS = 100
"""Access tokens in force for one user and application; one more ends the oldest."""

MASK = "•••"
_SECRETS = frozenset(
    {"client_secret", "code", "code_verifier", "refresh_token", "access_token", "accessToken"}
)


@dataclass(slots=True)
class Consent:
    """What a user allowed an application, as an authorization code or a refresh token."""

    user: str
    client_id: str
    scope: str
    expires_at: float
    redirect_uri: str = ""
    challenge: str = ""
    challenge_method: str = ""


class OAuth:
    """Issues tokens to applications that a user has let in.

    An application is whoever the options list; where they list none, any id will do, and
    the first secret it shows is from then on its secret.
    """

    def __init__(
        self, options: SandboxOptions, tokens: TokenRegistry, request_log: RequestLog
    ) -> None:
        self._options = options
        self._tokens = tokens
        self._request_log = request_log
        self._clients = dict(options.clients)
        self._codes: dict[str, Consent] = {}
        self._refreshes: dict[str, Consent] = {}
        self._used: dict[str, Consent] = {}
        self._served_at: dict[tuple[str, str], float] = {}
        self._live: dict[tuple[str, str], deque[str]] = {}

    def consent(self, query: Mapping[str, str], user: str, now: float) -> str:
        """Notes that a user allows what an authorize request asks; returns the code."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = Consent(
            user,
            query["client_id"],
            query.get("scope", ""),
            now + _CODE_SECONDS,
            query["redirect_uri"],
            query.get("code_challenge", ""),
            query.get("code_challenge_method", "plain"),
        )
        return code

    def refused(self, query: Mapping[str, str]) -> str | None:
        """What is wrong with an authorize request, or None."""
        if query.get("response_type") != "code":
            return "response_type must be code"
        if not query.get("client_id"):
            return "client_id is missing"
        if self._options.clients and query["client_id"] not in self._clients:
            return "this client_id is not known"
        if not query.get("redirect_uri", "").startswith(("https://", "http://")):
            return "redirect_uri must be an http or https URL"
        if not spelled_out(query.get("scope", "").split()):
            return "scope names nothing that this sandbox knows"
        return None

    def token(self, asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
        """Answers ``POST /oauth/token``."""
        form = _form(asked)
        exchange.body = orjson.dumps(masked(form))
        client_id = form.get("client_id", "")
        if not client_id or not self._knows(client_id, form.get("client_secret", "")):
            return _denied(401, "invalid_client", "Client authentication failed.")
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            key, consents = form.get("code", ""), self._codes
        elif grant_type == "refresh_token":
            key, consents = form.get("refresh_token", ""), self._refreshes
        else:
            return _denied(400, "unsupported_grant_type", "The grant type is not supported.")
        consent = consents.get(key)
        problem = self._invalid(consent, client_id, form, now)
        if consent is None or problem:
            self._note_reuse(key, now)
            return _denied(400, "invalid_grant", problem)
        exchange.user = consent.user
        who = (consent.user, client_id)
        if now < self._served_at.get(who, float("-inf")) + self._options.token_interval:
            self._request_log.violate(
                "token_hurry", "two token requests within a minute", consent.user, now
            )
            return plain(429, "Retry later\n")
        self._served_at[who] = now
        if grant_type == "authorization_code" or not self._options.lenient_refresh:
            self._used[key] = consents.pop(key)
        return self._issue(consent, now)

    def revoke(self, user: str) -> None:
        """Ends a user's refresh tokens, as when the user disconnects the application."""
        for key in [key for key, each in self._refreshes.items() if each.user == user]:
            del self._refreshes[key]

    def _issue(self, consent: Consent, now: float) -> ApiResponse:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        lives = self._options.access_seconds
        grant = TokenGrant(consent.user, spelled_out(consent.scope.split()), now + lives)
        self._tokens.issue(access, grant)
        live = self._live.setdefault((consent.user, consent.client_id), deque())
        live.append(access)
        if len(live) > _LIVE_TOKENS:
            self._tokens.end(live.popleft())
        self._refreshes[refresh] = Consent(
            consent.user, consent.client_id, consent.scope, now + self._options.refresh_seconds
        )
        content = {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": int(lives),
            "refresh_token": refresh,
            "scope": consent.scope,
            "created_at": int(now),
        }
        return json_answer(200, content)

    def _knows(self, client_id: str, secret: str) -> bool:
        if not secret:
            return False
        if not self._options.clients:
            self._clients.setdefault(client_id, secret)
        return hmac.compare_digest(self._clients.get(client_id, "").encode(), secret.encode())

    def _invalid(
        self, consent: Consent | None, client_id: str, form: Mapping[str, str], now: float
    ) -> str:
        if consent is None or consent.client_id != client_id or now >= consent.expires_at:
            return "The grant is invalid, expired, revoked, or was issued to another client."
        if consent.redirect_uri and form.get("redirect_uri") != consent.redirect_uri:
            return "The redirect_uri is not that of the authorization request."
        if consent.challenge and not _proves(consent, form.get("code_verifier", "")):
            return "The code_verifier does not match the code_challenge."
        return ""

    def _note_reuse(self, key: str, now: float) -> None:
        used = self._used.get(key)
        if used is not None:
            self._request_log.violate("token_reuse", "a grant was used twice", used.user, now)


def masked(content: object) -> object:
    """A token request or answer as the log may show it."""
    if isinstance(content, dict):
        return {key: MASK if key in _SECRETS else masked(value) for key, value in content.items()}
    return content


def masked_answer(body: bytes) -> bytes:
    """A token endpoint's answer as the log may show it."""
    try:
        return orjson.dumps(masked(orjson.loads(body)))
    except orjson.JSONDecodeError:
        return body


def _form(asked: ApiRequest) -> dict[str, str]:
    if asked.content_type.startswith("application/json"):
        try:
            content = orjson.loads(asked.body)
        except orjson.JSONDecodeError:
            return {}
        if not isinstance(content, dict):
            return {}
        return {key: value for key, value in content.items() if isinstance(value, str)}
    return dict(parse_qsl(asked.body.decode(errors="replace")))


def _proves(consent: Consent, verifier: str) -> bool:
    given = verifier
    if consent.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        given = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return bool(verifier) and hmac.compare_digest(given.encode(), consent.challenge.encode())


def _denied(status: int, kind: str, description: str) -> ApiResponse:
    return json_answer(status, {"error": kind, "error_description": description})
