"""A thing asked of Outreach, and the shapes of what is said on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.contract.prospect import Schema, exactly

JSON_API = "application/vnd.api+json"
IS_JSON_API = f"^{re.escape(JSON_API)}$"
IS_JSON = r"^application/json\b"

NOTHING: Schema = {"type": "null"}


def holding(name: str, inner: Schema) -> Schema:
    """An object that has this property, whatever else."""
    return {"type": "object", "properties": {name: inner}, "required": [name]}


def _headers(**patterns: str) -> Schema:
    named = {name.replace("_", "-"): {"pattern": pattern} for name, pattern in patterns.items()}
    return {"type": "object", "properties": named, "required": list(named)}


def message(body: Schema, **headers: str) -> Schema:
    return {"properties": {"body": body, "headers": _headers(**headers)}}


class Operation(NamedTuple):
    """One thing that is asked of Outreach, with what may be said on both sides."""

    name: str
    method: str
    path: re.Pattern[str]
    request: Schema
    answers: Mapping[int, Schema]


def asking(body: Schema, query: Schema | None = None, **headers: str) -> Schema:
    asked = message(body, **headers)
    return {"properties": {**asked["properties"], "query": query or exactly({})}}


# seen: the gateway in front of the API has errors of its own shape.
GATEWAY = message(
    exactly({"error": {"type": "string"}, "description": {"type": "string"}}, "error"),
    content_type=IS_JSON,
)
