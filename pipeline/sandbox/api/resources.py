"""Prospects and accounts over JSON:API: what Outreach answers once a request is let in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from pipeline.sandbox.api.batches import Batches
from pipeline.sandbox.api.listing import answer_list
from pipeline.sandbox.api.records import LINKED, RELATIONSHIPS, Collection
from pipeline.sandbox.auth.tokens import TokenGrant
from pipeline.sandbox.custom_fields import CustomField, as_text, types_document
from pipeline.sandbox.faults import Faults
from pipeline.sandbox.fields import FIELDS, ResourceKind, invalid, refused
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.request_log import LoggedRequest, RequestLog
from pipeline.sandbox.responses import (
    JSON_API,
    ApiRequest,
    ApiResponse,
    bad_request,
    document,
    error,
    forbidden,
    missing_scope,
    not_found,
    refusal,
    unsupported_media_type,
)

_KINDS: Mapping[str, ResourceKind] = {"prospects": "prospect", "accounts": "account"}
_VERBS = {"GET": "read", "POST": "write", "PATCH": "write", "DELETE": "delete"}
_ON_ONE = frozenset({"GET", "PATCH", "DELETE"})
_ON_ALL = frozenset({"GET", "POST"})
_WITH_BODY = frozenset({"PATCH", "POST"})

_DUPLICATE: Mapping[ResourceKind, str] = {
    "prospect": "A Contact with this email_hash already exists.",
    "account": "An Account with this domain already exists.",
}
"""What is answered where another record has the address or the domain."""

_PREFIX = 3
"""Parts of a path before the resource's name: nothing, ``api``, ``v2``."""


def _clashes(
    records: Collection, attributes: Mapping[str, object], record_id: int | None
) -> list[dict[str, object]]:
    """What is wrong with attributes that are right one by one."""
    if records.kind == "account" and record_id is None and not attributes.get("name"):
        return [invalid("Name can't be blank.", "/data/attributes/name")]
    if records.taken(attributes, record_id):
        title = "Validation Duplicate Value Error"
        return [error("validationDuplicateValueError", title, _DUPLICATE[records.kind], "/data")]
    return []


class _Linked(NamedTuple):
    """What relationships set, and what is wrong with them."""

    attributes: dict[str, object]
    problems: list[dict[str, object]]


class Resources:
    """Answers requests for prospects and accounts.

    Attributes:
      base_url: what links start with; known once the server listens.
    """

    def __init__(
        self,
        collections: Mapping[ResourceKind, Collection],
        custom_fields: Mapping[ResourceKind, Mapping[str, CustomField]],
        options: SandboxOptions,
        faults: Faults,
        request_log: RequestLog,
    ) -> None:
        self.base_url = ""
        self._log = request_log
        self.batches = Batches(
            collections,
            self._refused_in_bulk,
            options.forbidden,
            options,
            faults,
            request_log,
        )
        self._collections = collections
        self._custom_fields = custom_fields
        self._types = orjson.dumps(types_document(custom_fields))
        self._forbidden_ids = options.forbidden
        self._vague_errors = options.vague_errors

    def answer(  # noqa: PLR0911 - one return a kind of resource
        self, asked: ApiRequest, grant: TokenGrant, exchange: LoggedRequest, now: float
    ) -> ApiResponse:
        """Answers one request; sets ``exchange.altered`` where it changed something."""
        name, *rest = asked.path.split("/")[_PREFIX:] or [""]
        if name == "types" and asked.method == "GET":
            return ApiResponse(200, self._types, {"Content-Type": JSON_API})
        if name == "batches":
            return self.batches.answer(asked, rest, grant, now)
        if name == "batchItems" and asked.method == "GET" and not rest:
            return self.batches.answer_items(asked, grant, now)
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
        return self._answer_all(asked, records, now)

    def _answer_all(self, asked: ApiRequest, records: Collection, now: float) -> ApiResponse:
        if asked.method == "GET":
            return answer_list(asked.query, records, self.base_url)
        attributes = self._attributes(asked.body, records, None)
        if isinstance(attributes, ApiResponse):
            return attributes
        return self._one(201, records, records.create(attributes, now))

    def _answer_one(
        self,
        asked: ApiRequest,
        records: Collection,
        given_id: str,
        exchange: LoggedRequest,
        now: float,
    ) -> ApiResponse:
        record_id = int(given_id) if given_id.isdecimal() else 0
        if record_id not in records:
            return not_found(f"Could not find '{records.kind}' with ID '{given_id}'.")
        if records.kind == "prospect" and record_id in self._forbidden_ids:
            return forbidden(records.kind, record_id)
        if asked.method == "PATCH":
            return self._update(asked, records, record_id, exchange, now)
        if asked.method == "DELETE":
            records.remove(record_id, now)
            if records.kind == LINKED:
                self._collections["prospect"].unlink(record_id, now)
            return ApiResponse(204)
        return self._one(200, records, record_id)

    def _one(self, status: int, records: Collection, record_id: int) -> ApiResponse:
        return document(status, {"data": records.resource(record_id, self.base_url)})

    def _update(
        self,
        asked: ApiRequest,
        records: Collection,
        record_id: int,
        exchange: LoggedRequest,
        now: float,
    ) -> ApiResponse:
        attributes = self._attributes(asked.body, records, record_id)
        if isinstance(attributes, ApiResponse):
            return attributes
        if self.batches.writes(records.kind, record_id, attributes):
            what = f"{records.kind} {record_id} is being written by a batch"
            self._log.violate("batch_overlap", what, exchange.user or "", now)
        exchange.altered = len(records.update(record_id, attributes, now))
        return self._one(200, records, record_id)

    def _attributes(
        self, body: bytes, records: Collection, record_id: int | None
    ) -> dict[str, object] | ApiResponse:
        """The attributes that a document carries, or the refusal that it earns.

        Args:
          body: the document.
          records: for what kind of record it is.
          record_id: what its ``id`` must say, as a JSON integer; None for a new record.
        """
        kind = records.kind
        try:
            data = orjson.loads(body)["data"]
            kind_given, attributes = data["type"], data.get("attributes", {})
            links = data.get("relationships", {})
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return bad_request("The request body is not a JSON:API document of one resource.")
        if kind_given != kind or not isinstance(attributes, dict):
            return bad_request(f"Expected data.type to be '{kind}' and data.attributes an object.")
        if record_id is not None and (type(data.get("id")) is not int or data["id"] != record_id):
            return bad_request(f"Expected data.id to be the integer {record_id}, as in the path.")
        fields, custom_fields = FIELDS[kind], self._custom_fields[kind]
        problems: list[dict[str, object]] = []
        for name, value in attributes.items():
            custom = custom_fields.get(name)
            if custom is not None:
                problem = custom.refused(value)
                attributes[name] = as_text(value)
            elif name in fields:
                problem = refused(fields[name], value)
            else:
                return bad_request(f"Unknown attribute '{name}'.")
            if problem is not None:
                problems.append(problem)
        linked = self._linked(kind, links)
        if isinstance(linked, ApiResponse):
            return linked
        problems += linked.problems
        problems = problems or _clashes(records, attributes, record_id)
        return self._refusal(problems) if problems else {**attributes, **linked.attributes}

    def _linked(self, kind: ResourceKind, links: object) -> _Linked | ApiResponse:
        """The account that a document ties a prospect to, or the refusal that it earns."""
        if not isinstance(links, dict) or links.keys() - RELATIONSHIPS[kind].keys():
            return bad_request(f"Unknown relationship of {kind}.")
        if LINKED not in links:
            return _Linked({}, [])
        data = links[LINKED].get("data", 0) if isinstance(links[LINKED], dict) else 0
        if data is None:
            return _Linked({LINKED: None}, [])
        if (
            not isinstance(data, dict)
            or data.get("type") != LINKED
            or type(data.get("id")) is not int
        ):
            return bad_request(f"Expected relationships.{LINKED}.data to be an {LINKED} or null.")
        if data["id"] in self._collections[LINKED]:
            return _Linked({LINKED: data["id"]}, [])
        detail = f"Could not find '{LINKED}' with ID '{data['id']}'."
        return _Linked({}, [invalid(detail, f"/data/relationships/{LINKED}")])

    def _refused_in_bulk(
        self, kind: ResourceKind, attributes: Mapping[str, object]
    ) -> ApiResponse | None:
        """The refusal that attributes of a bulk action earn; None where they may be set."""
        named = {"name": "any", **attributes} if kind == "account" else attributes
        body = orjson.dumps({"data": {"type": kind, "attributes": named}})
        found = self._attributes(body, self._collections[kind], None)
        return found if isinstance(found, ApiResponse) else None

    def _refusal(self, problems: list[dict[str, object]]) -> ApiResponse:
        if self._vague_errors:
            problems = [each | {"source": {"pointer": "/data"}} for each in problems]
        return refusal(422, *problems)
