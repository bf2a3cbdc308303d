"""What Outreach says of its API, as JSON Schemas of what this tool exchanges with it.

Written from its documents, and sharing nothing with the program or the sandbox, so that what
one of these misread is told by another. Where each fact is from:

  * openapi: https://api.outreach.io/api/v2/schema/openapi.json, read in August 2026: the
    resources, attributes and relationships of prospects and accounts, what a PATCH and a POST
    hold, bulk actions, statuses 200, 201, 404, 422;
  * making-requests: https://developers.outreach.io/api/making-requests: media type, query
    parameters, the shape of errors and their ids, statuses 415 and 403;
  * getting-started: https://developers.outreach.io/api/getting-started: the rate limit, its
    headers and 429, maintenance, one token a minute;
  * oauth: https://developers.outreach.io/api/oauth: the token endpoint;
  * s2s: https://developers.outreach.io/api/s2s-access: an application's own token;
  * seen: not documented, but met by other clients in production.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator

from tests.support.contract.operations import OPERATIONS, Operation
from tests.support.contract.prospect import Schema
from tests.support.servers.wire import Passed


def operation_of(passed: Passed) -> Operation | None:
    """What was asked for, if it is anything that this tool may ask for."""
    path = passed.target.partition("?")[0]
    for operation in OPERATIONS:
        if operation.method == passed.method and operation.path.fullmatch(path):
            return operation
    return None


def breaches_of_request(passed: Passed) -> list[str]:
    """What is wrong with a request."""
    operation = operation_of(passed)
    if operation is None:
        return [f"{passed.method} {passed.target} is not described"]
    path, _, query = passed.target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    asked: dict[str, Any] = {
        "query": dict(pairs),
        "headers": _lowered(passed.headers),
        "body": _read(passed.headers, passed.body),
    }
    if operation.name == "assertion":
        asked["assertion"] = _claimed(passed.headers.get("Authorization", ""))
    breaches = list(_breaches(operation.request, asked))
    # Of the new filter syntax, each value is a parameter of its own (making-requests).
    alone = [name for name, _ in pairs if not name.endswith("[]")]
    if len(alone) != len(set(alone)):
        breaches.append("a query parameter is given twice")
    found = operation.path.fullmatch(path)
    if not breaches and found and found.groups() and int(found[1]) != asked["body"]["data"]["id"]:
        breaches.append(f"the id is not {found[1]}, as in the path")
    return breaches


def breaches_of_answer(passed: Passed) -> list[str]:
    """What is wrong with an answer; a lost one is beyond reproach."""
    operation = operation_of(passed)
    if operation is None or passed.status is None:
        return []
    schema = operation.answers.get(passed.status)
    if schema is None:
        return [f"{passed.status} is not described"]
    said = {
        "headers": _lowered(passed.answer_headers),
        "body": _read(passed.answer_headers, passed.answer),
    }
    return list(_breaches(schema, said))


def _breaches(schema: Schema, message: object) -> Iterator[str]:
    for error in Draft202012Validator(schema).iter_errors(message):
        yield f"{error.json_path}: {error.message[:200]}"


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(headers: Mapping[str, str], body: bytes) -> object:
    kind = _lowered(headers).get("content-type", "")
    if not body:
        return None
    if "json" in kind:
        return json.loads(body)
    return dict(parse_qsl(body.decode())) if "form" in kind else body.decode()


def _claimed(authorization: str) -> dict[str, Any]:
    """The parts of an assertion; its signature is the sandbox's to check."""
    header, claims, _ = authorization.removeprefix("Bearer ").split(".")
    return {"header": _segment(header), "claims": _segment(claims)}


def _segment(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
