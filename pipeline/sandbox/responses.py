"""What is asked of the sandbox and what it answers, apart from any socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from types import MappingProxyType
from typing import Literal, NamedTuple

import orjson

JSON_API = "application/vnd.api+json"

Fate = Literal["sent", "reset", "silence"]
"""What becomes of an answer: sent, lost with its connection, or never given."""


class ApiRequest(NamedTuple):
    """One HTTP request.

    Attributes:
      method: upper case.
      path: decoded, without the query.
      query: raw, without the question mark.
      content_type: the header as it came; empty if there was none.
      authorization: the header as it came; a secret, never logged.
      body: as it came.
    """

    method: str
    path: str
    query: str
    content_type: str
    authorization: str
    body: bytes


class ApiResponse(NamedTuple):
    """One HTTP answer, and what is to become of it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    delay_seconds: float = 0.0
    fate: Fate = "sent"

    def wearing(self, headers: Mapping[str, str]) -> ApiResponse:
        """The same answer with more headers."""
        return self._replace(headers={**self.headers, **headers})


_JSON_API_HEADERS = {"Content-Type": JSON_API}
_JSON_HEADERS = {"Content-Type": "application/json"}


def document(status: int, content: object) -> ApiResponse:
    """An answer whose body is a JSON:API document."""
    return ApiResponse(status, orjson.dumps(content), _JSON_API_HEADERS)


def json_answer(status: int, content: object) -> ApiResponse:
    """An answer in plain JSON, as the gateway and the token endpoint give."""
    return ApiResponse(status, orjson.dumps(content), _JSON_HEADERS)


def plain(status: int, text: str) -> ApiResponse:
    """An answer in plain text."""
    return ApiResponse(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def login_page() -> ApiResponse:
    """What a proxy answers to everything until somebody has signed in."""
    page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
    return ApiResponse(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


def error(kind: str, title: str, detail: str, pointer: str | None = None) -> dict[str, object]:
    """One member of ``errors``."""
    member: dict[str, object] = {"id": kind, "title": title, "detail": detail}
    if pointer is not None:
        member["source"] = {"pointer": pointer}
    return member


def refusal(status: int, *errors: Mapping[str, object]) -> ApiResponse:
    """A JSON:API error document."""
    return document(status, {"errors": errors})


def bad_request(detail: str) -> ApiResponse:
    """400: malformed, or with a parameter that does not exist."""
    return refusal(400, error("badRequest", "Bad Request", detail))


def bad_token(why: str) -> ApiResponse:
    """401 in the shape of Outreach's gateway, which is not that of its API."""
    return json_answer(401, {"error": "Invalid JWT token.", "description": why})


def missing_scope(scope: str) -> ApiResponse:
    """403 for a token that was never granted what the request needs."""
    detail = f"Your authorization is missing required scope '{scope}'."
    return refusal(403, error("unauthorizedOauthScope", "Unauthorized OAuth Scope", detail))


def forbidden(kind: str, record: int) -> ApiResponse:
    """403 for a record that governance keeps from this user."""
    detail = f"You are not authorized to perform that request on {kind} '{record}'."
    return refusal(403, error("unauthorizedRequest", "Unauthorized Request", detail))


def not_found(what: str) -> ApiResponse:
    """404: deleted, merged, not visible, or never there."""
    return refusal(404, error("resourceNotFound", "Resource Not Found", what))


def unsupported_media_type() -> ApiResponse:
    """415, whose error says ``details`` where every other says ``detail``."""
    return refusal(
        415,
        {
            "id": "unsupportedMediaType",
            "title": "Unsupported Media Type",
            "details": f"Expected Content-Type header to be '{JSON_API}'.",
        },
    )


def rate_limited(detail: str, retry_after: str) -> ApiResponse:
    """429, to the letter of Outreach's documentation."""
    answer = refusal(429, error("rateLimitExceeded", "Rate Limit Exceeded", detail))
    return answer.wearing({"Retry-After": retry_after})


def maintenance(until: float) -> ApiResponse:
    """503 with an ISO 8601 instant in Retry-After; ``until`` is epoch seconds."""
    instant = datetime.fromtimestamp(ceil(until), UTC).isoformat().replace("+00:00", "Z")
    detail = f"Outreach is undergoing scheduled maintenance; please try again at {instant}."
    kind = "scheduledServerMaintenance"
    return refusal(503, error(kind, "Scheduled Server Maintenance", detail)).wearing(
        {"Retry-After": instant}
    )


def internal_error() -> ApiResponse:
    """500; Outreach documents no body for it."""
    detail = "Something went wrong on our side."
    return refusal(500, error("internalServerError", "Internal Server Error", detail))


def bad_gateway() -> ApiResponse:
    """502 as a gateway answers it: HTML, whatever was asked for."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"
    return ApiResponse(502, page, {"Content-Type": "text/html"})
