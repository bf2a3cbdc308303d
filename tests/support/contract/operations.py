"""What may pass between this tool and Outreach: each thing asked, and each answer to it.

Where a fact is from stands beside it, by the names of `tests.support.contract`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.support.contract import account, oauth, prospect
from tests.support.contract.batch import BATCH, modify
from tests.support.contract.prospect import INSTANT, Schema, exactly
from tests.support.contract.shapes import (
    GATEWAY,
    IS_JSON_API,
    NOTHING,
    Operation,
    asking,
    holding,
    message,
)

MOST_ON_A_PAGE = 1_000


def _list(item: Schema) -> Schema:
    return exactly(
        {
            "data": {"type": "array", "items": item, "maxItems": MOST_ON_A_PAGE},
            "meta": {"type": "object"},
            "links": {"type": "object"},
        },
        "data",
    )


def _list_query(kind: str, names: tuple[str, ...], filters: tuple[str, ...]) -> Schema:
    """making-requests: filters, sparse fields and pages; 1,000 is the most on one.

    Filters are those that `openapi` marks as such. Records are asked for by some filter, or a page
    after the other: a list without either is a mistake.
    """
    name = "|".join(names)
    asked = {f"filter[{each}]": {"minLength": 1} for each in filters}
    listed = {f"filter[{each}][]": {"minLength": 1} for each in filters}
    return {
        **exactly(
            {
                **asked,
                **listed,
                "filter[id]": {"pattern": rf"^\d+(,\d+){{0,{MOST_ON_A_PAGE - 1}}}$"},
                "filter[updatedAt]": {"pattern": rf"{INSTANT[:-1]}\.\.(inf|{INSTANT[1:-1]})$"},
                "newFilterSyntax": {"const": "true"},
                f"fields[{kind}]": {"pattern": f"^({name})(,({name}))*$"},
                "page[size]": {"pattern": r"^([1-9]\d{0,2}|1000)$"},
                "page[after]": {"minLength": 1},
                "count": {"enum": ["true", "false"]},
            }
        ),
        "anyOf": [
            *({"required": [each]} for each in ("filter[id]", *asked)),
            *({"required": [each, "newFilterSyntax"]} for each in listed),
            {"required": ["page[size]", f"fields[{kind}]"]},
        ],
    }


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
_TYPES = holding(
    "data",
    {
        "type": "array",
        "items": exactly(
            {"type": {"type": "string"}, "meta": holding("validations", _SETUPS)}, "type", "meta"
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


# getting-started; two values of Remaining: seen.
_RATED = {
    "content_type": IS_JSON_API,
    "x_ratelimit_limit": r"^\d+$",
    "x_ratelimit_remaining": r"^\d+(, \d+)?$",
    "x_ratelimit_reset": r"^\d{10}$",
}
_ANYTHING = message({})
_REFUSED = {
    400: message(_errors(), **_RATED),
    401: GATEWAY,
    403: message(_errors("unauthorizedOauthScope", "unauthorizedRequest"), **_RATED),
    404: message(_errors("resourceNotFound"), **_RATED),
    415: message(_errors("unsupportedMediaType", detail="details"), **_RATED),
    422: message(
        _errors("validationError", "validationDuplicateValueError", "validationDataTooLongError"),
        **_RATED,
    ),
    # getting-started: Retry-After is another name of X-RateLimit-Reset here, an instant on a 503.
    429: message(_errors("rateLimitExceeded"), **_RATED, retry_after=r"^\d{10}$"),
    503: message(_errors("scheduledServerMaintenance"), **_RATED, retry_after=INSTANT),
    # Nothing is documented of the bodies of these.
    500: _ANYTHING,
    502: _ANYTHING,
}

_BEARER = {"authorization": r"^Bearer \S+$", "content_type": IS_JSON_API}


def _of(
    kind: str, record: Schema, writable: Mapping[str, Schema], links: Schema, query: Schema
) -> tuple[Operation, ...]:
    """What is asked about one kind of record: writes, creations, lists, bulk actions."""
    plural = f"/api/v2/{kind}s"
    data = {
        "type": {"const": kind},
        "attributes": exactly(writable),
        "relationships": links,
    }
    answered = message(exactly({"data": record}, "data"), **_RATED)
    patch = exactly({"data": exactly({**data, "id": {"type": "integer"}}, "type", "id")}, "data")
    post = exactly({"data": exactly(data, "type", "attributes")}, "data")
    return (
        Operation(
            f"write {kind}",
            "PATCH",
            re.compile(rf"{plural}/(\d+)"),
            asking(patch, **_BEARER),
            {200: answered, **_REFUSED},
        ),
        Operation(
            f"create {kind}",
            "POST",
            re.compile(plural),
            asking(post, **_BEARER),
            {201: answered, **_REFUSED},
        ),
        Operation(
            f"read {kind}s",
            "GET",
            re.compile(plural),
            asking(NOTHING, query, **_BEARER),
            {200: message(_list(record), **_RATED), **_REFUSED},
        ),
        Operation(
            f"modify {kind}s",
            "POST",
            re.compile(rf"/api/v2/batches/actions/{kind}sBulkModify"),
            asking(modify(writable), **_BEARER),
            {200: _BATCH, **_REFUSED},
        ),
    )


_BATCH = message(exactly({"data": BATCH}, "data"), **_RATED)
_OF_PROSPECTS = _list_query("prospect", (*prospect.ATTRIBUTES, "account"), ("emails",))
_OF_ACCOUNTS = _list_query("account", account.ATTRIBUTES, ("domain", "name"))

OPERATIONS = (
    *_of("prospect", prospect.PROSPECT, prospect.WRITABLE, prospect.LINKS, _OF_PROSPECTS),
    *_of("account", account.ACCOUNT, account.WRITABLE, exactly({}), _OF_ACCOUNTS),
    Operation(
        "confirm",
        "POST",
        re.compile(r"/api/v2/batches/\d+/actions/confirm"),
        asking(
            exactly({}),
            exactly({"actionParams[confirmedCount]": {"pattern": r"^\d+$"}}),
            **_BEARER,
        ),
        {200: _BATCH, **_REFUSED},
    ),
    Operation(
        "read batches",
        "GET",
        re.compile(r"/api/v2/batches"),
        asking(
            NOTHING,
            exactly(
                {
                    "filter[id]": {"pattern": r"^\d+(,\d+)*$"},
                    "page[size]": {"pattern": r"^([1-9]\d{0,2}|1000)$"},
                    "count": {"enum": ["true", "false"]},
                },
                "filter[id]",
            ),
            **_BEARER,
        ),
        {200: message(_list(BATCH), **_RATED), **_REFUSED},
    ),
    Operation(
        "types",
        "GET",
        re.compile(r"/api/v2/types"),
        asking(NOTHING, **_BEARER),
        {200: message(_TYPES, **_RATED), **_REFUSED},
    ),
    *oauth.OPERATIONS,
)
