"""Prospects and accounts over JSON:API: what Outreach answers once a request is let in."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from pipeline.sandbox.answers import (
    JSON_API,
    Answer,
    Asked,
    bad_request,
    document,
    forbidden,
    missing_scope,
    not_found,
    refusal,
    unsupported_media_type,
)
from pipeline.sandbox.fields import FIELDS, ResourceKind, refused
from pipeline.sandbox.journal import Exchange
from pipeline.sandbox.listing import answer_list
from pipeline.sandbox.state import Collection
from pipeline.sandbox.tokens import Grant

_KINDS: Mapping[str, ResourceKind] = {"prospects": "prospect", "accounts": "account"}
_VERBS = {"GET": "read", "POST": "write", "PATCH": "write", "DELETE": "delete"}
_ON_ONE = frozenset({"GET", "PATCH", "DELETE"})
_ON_ALL = frozenset({"GET", "POST"})
_WITH_BODY = frozenset({"PATCH", "POST"})

_PREFIX = 3
"""Parts of a path before the resource's name: nothing, ``api``, ``v2``."""


class Resources:
    """Answers requests for prospects and accounts.

    Attributes:
      base_url: what links start with; known once the server listens.
    """

    def __init__(
        self, collections: Mapping[ResourceKind, Collection], forbidden_ids: frozenset[int]
    ) -> None:
        self.base_url = ""
        self._collections = collections
        self._forbidden_ids = forbidden_ids

    def answer(self, asked: Asked, grant: Grant, exchange: Exchange, now: float) -> Answer:
        """Answers one request; sets ``exchange.altered`` where it changed something."""
        name, *rest = asked.path.split("/")[_PREFIX:] or [""]
        kind = _KINDS.get(name)
        if kind is None or len(rest) > 1 or asked.method not in (_ON_ONE if rest else _ON_ALL):
            return not_found(f"No route matches {asked.method} {asked.path}.")
        scope = f"{name}.{_VERBS[asked.method]}"
        if scope not in grant.scopes:
            return missing_scope(scope)
        if asked.method in _WITH_BODY and asked.content_type != JSON_API:
            return unsupported_media_type()
        records = self._collections[kind]
        if rest:
            return self._answer_one(asked, records, rest[0], exchange, now)
        if asked.method == "GET":
            return answer_list(asked.query, records, self.base_url)
        return self._create(asked, records, now)

    def _answer_one(
        self, asked: Asked, records: Collection, given_id: str, exchange: Exchange, now: float
    ) -> Answer:
        record_id = int(given_id) if given_id.isdecimal() else 0
        if record_id not in records:
            return not_found(f"Could not find '{records.kind}' with ID '{given_id}'.")
        if records.kind == "prospect" and record_id in self._forbidden_ids:
            return forbidden(records.kind, record_id)
        if asked.method == "PATCH":
            return self._update(asked, records, record_id, exchange, now)
        if asked.method == "DELETE":
            records.remove(record_id)
            return Answer(204)
        return self._one(200, records, record_id)

    def _one(self, status: int, records: Collection, record_id: int) -> Answer:
        return document(status, {"data": records.resource(record_id, self.base_url)})

    def _create(self, asked: Asked, records: Collection, now: float) -> Answer:
        attributes = _attributes(asked.body, records.kind, None)
        if isinstance(attributes, Answer):
            return attributes
        return self._one(201, records, records.create(attributes, now))

    def _update(
        self, asked: Asked, records: Collection, record_id: int, exchange: Exchange, now: float
    ) -> Answer:
        attributes = _attributes(asked.body, records.kind, record_id)
        if isinstance(attributes, Answer):
            return attributes
        exchange.altered = len(records.update(record_id, attributes, now))
        return self._one(200, records, record_id)


def _attributes(
    body: bytes, kind: ResourceKind, record_id: int | None
) -> dict[str, object] | Answer:
    """The attributes that a document carries, or the refusal that it earns.

    Args:
      body: the document.
      kind: what its ``type`` must say.
      record_id: what its ``id`` must say, as a JSON integer; None for a new record.
    """
    try:
        data = orjson.loads(body)["data"]
        kind_given, attributes = data["type"], data.get("attributes", {})
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return bad_request("The request body is not a JSON:API document of one resource.")
    if kind_given != kind or not isinstance(attributes, dict):
        return bad_request(f"Expected data.type to be '{kind}' and data.attributes an object.")
    if record_id is not None and (type(data.get("id")) is not int or data["id"] != record_id):
        return bad_request(f"Expected data.id to be the integer {record_id}, as in the path.")
    fields = FIELDS[kind]
    problems: list[dict[str, object]] = []
    for name, value in attributes.items():
        field = fields.get(name)
        if field is None:
            return bad_request(f"Unknown attribute '{name}'.")
        problem = refused(field, value)
        if problem is not None:
            problems.append(problem)
    return refusal(422, *problems) if problems else attributes
