"""What passes between this tool and the endpoints that give tokens."""

from __future__ import annotations

import re

from tests.support.contract.prospect import exactly
from tests.support.contract.shapes import (
    GATEWAY,
    IS_JSON,
    IS_JSON_API,
    NOTHING,
    Operation,
    asking,
    holding,
    message,
)

# RFC 6749, 5.2, which the token endpoint follows.
_GRANT_REFUSED = message(
    exactly({"error": {"type": "string"}, "error_description": {"type": "string"}}, "error"),
    content_type=IS_JSON,
)
_SECRET = {"type": "string", "minLength": 1}
_FORM = {"client_id": _SECRET, "client_secret": _SECRET}
_TOKEN_FORM = {
    "oneOf": [
        exactly(
            {**_FORM, "grant_type": {"const": "refresh_token"}, "refresh_token": _SECRET,
             "redirect_uri": _SECRET},
            *_FORM, "grant_type", "refresh_token",
        ),
        exactly(
            {**_FORM, "grant_type": {"const": "authorization_code"}, "code": _SECRET,
             "redirect_uri": _SECRET, "code_verifier": _SECRET},
            *_FORM, "grant_type", "code", "redirect_uri",
        ),
    ]
}  # fmt: skip
_TOKENS = {
    "type": "object",
    "properties": {
        "access_token": _SECRET,
        "token_type": {"pattern": "^[Bb]earer$"},
        "expires_in": {"type": "integer", "minimum": 1},
        "refresh_token": _SECRET,
        "scope": {"type": "string"},
        "created_at": {"type": "integer"},
    },
    "required": ["access_token", "token_type", "expires_in", "refresh_token", "created_at"],
}
_ASSERTION = exactly(
    {
        "header": {"properties": {"alg": {"const": "RS256"}}, "required": ["alg"]},
        "claims": exactly(
            {
                "iat": {"type": "integer"},
                "exp": {"type": "integer"},
                "iss": {"type": "string", "minLength": 1},
            },
            "iat",
            "exp",
            "iss",
        ),
    },
    "header",
    "claims",
)

OPERATIONS = (
    Operation(
        "token",
        "POST",
        re.compile(r"/oauth/token"),
        asking(_TOKEN_FORM, content_type="^application/x-www-form-urlencoded$"),
        {
            200: message(_TOKENS, content_type=IS_JSON),
            400: _GRANT_REFUSED,
            401: _GRANT_REFUSED,
            429: message({"const": "Retry later\n"}, content_type="^text/plain"),
        },
    ),
    Operation(
        "assertion",
        "POST",
        re.compile(r"/api/app/installs/[^/]+/actions/accessToken"),
        {"properties": {**asking(NOTHING)["properties"], "assertion": _ASSERTION}},
        {
            200: message(
                holding("data", holding("meta", holding("accessToken", _SECRET))),
                content_type=IS_JSON_API,
            ),
            401: GATEWAY,
        },
    ),
)
