"""What may pass between this tool and Outreach: each thing asked, and each answer to it.

Where a fact is from stands beside it, by the names of `tests.support.contract`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.contract.prospect import ATTRIBUTES, INSTANT, PATCH, PROSPECT, Schema, exactly

JSON_API = "application/vnd.api+json"
MOST_ON_A_PAGE = 1_000

_NAMES = "|".join(ATTRIBUTES)
_LIST = exactly(
    {
        "data": {"type": "array", "items": PROSPECT, "maxItems": MOST_ON_A_PAGE},
        "meta": {"type": "object"},
        "links": {"type": "object"},
    },
    "data",
)

# making-requests; that 1,000 is the most on a page, too.
_LIST_QUERY = exactly(
    {
        "filter[id]": {"pattern": rf"^\d+(,\d+){{0,{MOST_ON_A_PAGE - 1}}}$"},
        "fields[prospect]": {"pattern": f"^({_NAMES})(,({_NAMES}))*$"},
        "page[size]": {"pattern": r"^([1-9]\d{0,2}|1000)$"},
        "count": {"enum": ["true", "false"]},
    },
    "filter[id]",
)


def _holding(name: str, inner: Schema) -> Schema:
    """An object that has this property, whatever else."""
    return {"type": "object", "properties": {name: inner}, "required": [name]}


# openapi, in its introduction.
_FIELD_TYPES = """boolean currency date date_time inclusion multi_inclusion numerical percentage
    phone_number string url"""
_FIELD_SETUP = {
    "type": "object",
    "properties": {
        "type": {"enum": _FIELD_TYPES.split()},
        "required": {"type": "boolean"},
        "label": {"type": "string"},
        "definition": {"type": ["null", "array", "string"]},
    },
    "required": ["type", "required", "label", "definition"],
}
_SETUPS = {
    "type": "object",
    "propertyNames": {"pattern": r"^custom\d+$"},
    "additionalProperties": _FIELD_SETUP,
}
_TYPES = _holding(
    "data",
    {
        "type": "array",
        "items": exactly(
            {"type": {"type": "string"}, "meta": _holding("validations", _SETUPS)}, "type", "meta"
        ),
    },
)


def _errors(*ids: str, detail: str = "detail") -> Schema:
    """making-requests: `errors`, each with an id, a title and a detail; perhaps a pointer."""
    kind: Schema = {"enum": list(ids)} if ids else {"type": "string"}
    pointer = exactly({"pointer": {"type": "string", "pattern": "^/data"}}, "pointer")
    text = {"type": "string", "minLength": 1}
    return exactly(
        {
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": exactly(
                    {"id": kind, "title": text, detail: text, "source": pointer},
                    "id",
                    "title",
                    detail,
                ),
            }
        },
        "errors",
    )


def _headers(**patterns: str) -> Schema:
    named = {name.replace("_", "-"): {"pattern": pattern} for name, pattern in patterns.items()}
    return {"type": "object", "properties": named, "required": list(named)}


def _message(body: Schema, **headers: str) -> Schema:
    return {"properties": {"body": body, "headers": _headers(**headers)}}


_IS_JSON_API = f"^{re.escape(JSON_API)}$"
_IS_JSON = r"^application/json\b"
# getting-started; two values of Remaining: seen.
_RATED = {
    "content_type": _IS_JSON_API,
    "x_ratelimit_limit": r"^\d+$",
    "x_ratelimit_remaining": r"^\d+(, \d+)?$",
    "x_ratelimit_reset": r"^\d{10}$",
}
_ANYTHING = _message({})
# seen: the gateway in front of the API has errors of its own shape.
_GATEWAY = _message(
    exactly({"error": {"type": "string"}, "description": {"type": "string"}}, "error"),
    content_type=_IS_JSON,
)
_REFUSED = {
    400: _message(_errors(), **_RATED),
    401: _GATEWAY,
    403: _message(_errors("unauthorizedOauthScope", "unauthorizedRequest"), **_RATED),
    404: _message(_errors("resourceNotFound"), **_RATED),
    415: _message(_errors("unsupportedMediaType", detail="details"), **_RATED),
    422: _message(
        _errors("validationError", "validationDuplicateValueError", "validationDataTooLongError"),
        **_RATED,
    ),
    # getting-started: Retry-After is another name of X-RateLimit-Reset here, an instant on a 503.
    429: _message(_errors("rateLimitExceeded"), **_RATED, retry_after=r"^\d{10}$"),
    503: _message(_errors("scheduledServerMaintenance"), **_RATED, retry_after=INSTANT),
    # Nothing is documented of the bodies of these.
    500: _ANYTHING,
    502: _ANYTHING,
}

# RFC 6749, 5.2, which the token endpoint follows.
_GRANT_REFUSED = _message(
    exactly({"error": {"type": "string"}, "error_description": {"type": "string"}}, "error"),
    content_type=_IS_JSON,
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


class Operation(NamedTuple):
    """One thing that is asked of Outreach, with what may be said on both sides."""

    name: str
    method: str
    path: re.Pattern[str]
    request: Schema
    answers: Mapping[int, Schema]


def _asking(body: Schema, query: Schema | None = None, **headers: str) -> Schema:
    asked = _message(body, **headers)
    return {"properties": {**asked["properties"], "query": query or exactly({})}}


_BEARER = {"authorization": r"^Bearer \S+$", "content_type": _IS_JSON_API}
_NOTHING: Schema = {"type": "null"}

OPERATIONS = (
    Operation(
        "write",
        "PATCH",
        re.compile(r"/api/v2/prospects/(\d+)"),
        _asking(PATCH, **_BEARER),
        {200: _message(exactly({"data": PROSPECT}, "data"), **_RATED), **_REFUSED},
    ),
    Operation(
        "read",
        "GET",
        re.compile(r"/api/v2/prospects"),
        _asking(_NOTHING, _LIST_QUERY, **_BEARER),
        {200: _message(_LIST, **_RATED), **_REFUSED},
    ),
    Operation(
        "types",
        "GET",
        re.compile(r"/api/v2/types"),
        _asking(_NOTHING, **_BEARER),
        {200: _message(_TYPES, **_RATED), **_REFUSED},
    ),
    Operation(
        "token",
        "POST",
        re.compile(r"/oauth/token"),
        _asking(_TOKEN_FORM, content_type="^application/x-www-form-urlencoded$"),
        {
            200: _message(_TOKENS, content_type=_IS_JSON),
            400: _GRANT_REFUSED,
            401: _GRANT_REFUSED,
            429: _message({"const": "Retry later\n"}, content_type="^text/plain"),
        },
    ),
    Operation(
        "assertion",
        "POST",
        re.compile(r"/api/app/installs/[^/]+/actions/accessToken"),
        {"properties": {**_asking(_NOTHING)["properties"], "assertion": _ASSERTION}},
        {
            200: _message(
                _holding("data", _holding("meta", _holding("accessToken", _SECRET))),
                content_type=_IS_JSON_API,
            ),
            401: _GATEWAY,
        },
    ),
)
