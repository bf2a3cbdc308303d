"""The sandbox's own endpoints, under ``/sandbox/``: switches, and what the page shows.

They take JSON and say so in what they require: a page from elsewhere in the same browser
cannot send that without asking, and is never allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.sandbox.core import Outreach
from pipeline.sandbox.faults import (
    API_FAULTS,
    BATCH_FAULTS,
    TOKEN_FAULTS,
    FaultSettings,
    Seconds,
    changed,
)
from transforms.outreach.fields import PROSPECT_FIELDS

_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


class ForeignUse(BaseModel):
    """Budget that a user's other tools spend at once."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(min_length=1)
    requests: int = Field(ge=1, le=10_000_000)


class TokenOrder(BaseModel):
    """What is to become of a user's tokens."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(min_length=1)
    action: str = Field(pattern="^(expire|revoke)$")


class ProspectOrder(BaseModel):
    """What a person does to a prospect in Outreach itself."""

    model_config = ConfigDict(extra="forbid")

    id: int = Field(ge=1)
    action: Literal["set", "delete", "restore", "merge"]
    into: int | None = Field(default=None, ge=1)
    attributes: dict[str, object] = Field(default_factory=dict)


class AdminApi:
    """Serves the endpoints by which a sandbox is steered while it runs."""

    def __init__(self, outreach: Outreach, clock: Callable[[], float]) -> None:
        self._outreach = outreach
        self._clock = clock

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds the routes."""
        router.add_get("/sandbox/faults", self._faults)
        router.add_post("/sandbox/faults", self._set_faults)
        router.add_delete("/sandbox/faults", self._end_faults)
        router.add_post("/sandbox/foreign", self._foreign)
        router.add_post("/sandbox/tokens", self._tokens)
        router.add_post("/sandbox/prospects", self._prospects)

    async def _faults(self, _: web.Request) -> web.Response:
        faults = self._outreach.faults
        maintained = faults.maintenance_until > self._clock()
        return json_response(
            {
                **faults.settings.model_dump(),
                "maintenance_until": faults.maintenance_until if maintained else None,
                "struck": faults.struck,
                "meaning": {**API_FAULTS, **TOKEN_FAULTS, **BATCH_FAULTS},
            }
        )

    async def _set_faults(self, request: web.Request) -> web.Response:
        changes = await _read(request)
        faults, seconds = self._outreach.faults, changes.pop("maintenance_for_seconds", None)
        try:
            until = self._clock() + _SECONDS.validate_python(seconds or 0)
            faults.settings = changed(faults.settings, changes)
        except ValueError as problem:
            return _refuse(str(problem))
        if seconds is not None:
            faults.maintenance_until = until
        return await self._done(request)

    async def _end_faults(self, request: web.Request) -> web.Response:
        faults = self._outreach.faults
        faults.settings, faults.maintenance_until = FaultSettings(), 0.0
        return await self._done(request)

    async def _foreign(self, request: web.Request) -> web.Response:
        try:
            use = ForeignUse.model_validate(await _read(request))
        except ValidationError as problem:
            return _refuse(str(problem))
        allowance = self._outreach.middleware.allowance(use.user)
        spent = allowance.spend_elsewhere(use.requests, self._clock())
        self._outreach.request_log.revision += 1
        return json_response({"spent": spent, "remaining": allowance.remaining(self._clock())})

    async def _tokens(self, request: web.Request) -> web.Response:
        try:
            order = TokenOrder.model_validate(await _read(request))
        except ValidationError as problem:
            return _refuse(str(problem))
        if order.action == "expire":
            tokens = self._outreach.tokens.expire(order.user, self._clock())
        else:
            tokens = self._outreach.middleware.revoke(order.user)
        self._outreach.request_log.revision += 1
        return json_response({"tokens": tokens})

    async def _prospects(self, request: web.Request) -> web.Response:
        try:
            order = ProspectOrder.model_validate(await _read(request))
        except ValidationError as problem:
            return _refuse(str(problem))
        records, now = self._outreach.collections["prospect"], self._clock()
        known = order.id in records and (order.into is None or order.into in records)
        match order.action:
            case "set":
                if unknown := order.attributes.keys() - PROSPECT_FIELDS.keys():
                    return _refuse(f"{min(unknown)!r} is not an attribute of prospects")
                records.add(order.id, order.attributes, now)
            case "restore":
                known = records.recycle(order.id, now)
            case "delete" if known:
                records.remove(order.id, now)
            case "merge" if known and order.into is not None and order.into != order.id:
                records.merge(order.id, order.into, now)
            case "merge" if known:
                return _refuse("name another prospect as `into`")
        if order.action != "set" and not known:
            return _refuse("there is no such prospect")
        self._outreach.request_log.revision += 1
        return json_response({"prospects": len(records)})

    async def _done(self, request: web.Request) -> web.Response:
        self._outreach.request_log.revision += 1
        return await self._faults(request)


def json_response(content: object, status: int = 200) -> web.Response:
    """A JSON answer that no cache keeps."""
    return web.Response(
        status=status,
        body=orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _refuse(problem: str) -> web.Response:
    return json_response({"error": problem}, 400)


async def _read(request: web.Request) -> dict[str, object]:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Content-Type must be application/json\n")
    try:
        content = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object\n")
    return content
