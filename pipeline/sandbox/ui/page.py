"""The page at ``/``: its files, its state, and word of each change to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.resources import files

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.sandbox.core import Outreach
from pipeline.sandbox.ui.admin_api import json_response
from pipeline.sandbox.ui.snapshot import View, prospect_story, snapshot
from pipeline.web.page_parts import send_revisions, static_file

_STATIC = files("pipeline.sandbox.ui") / "static"
_LOOK_SECONDS = 0.5

_GUARD = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Query(BaseModel):
    """Query of ``/sandbox/state``; see `View`."""

    model_config = ConfigDict(extra="forbid")

    search: str = Field("", max_length=200)
    field: str = ""
    value: str = ""
    order: str = Field("id", pattern="^(id|latest)$")
    page: int = Field(1, ge=1)
    size: int = Field(25, ge=1, le=200)


class Page:
    """Serves the page and what it reads."""

    def __init__(self, outreach: Outreach, clock: Callable[[], float]) -> None:
        self._outreach = outreach
        self._clock = clock
        self._stopping = asyncio.Event()

    def add_to(self, app: web.Application) -> None:
        """Adds the routes, and the end of the event streams at shutdown."""
        app.router.add_get("/", self._index)
        app.router.add_get("/favicon.ico", self._icon)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/sandbox/state", self._state)
        app.router.add_get("/sandbox/requests/{number:[0-9]+}", self._request)
        app.router.add_get("/sandbox/prospects/{number:[0-9]+}", self._prospect)
        app.router.add_get("/sandbox/events", self._events)
        app.on_shutdown.append(self._stop)

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()

    async def _index(self, _: web.Request) -> web.Response:
        return static_file(_STATIC, "index.html", _GUARD)

    async def _icon(self, _: web.Request) -> web.Response:
        return static_file(_STATIC, "icon.svg", _GUARD)

    async def _static(self, request: web.Request) -> web.Response:
        return static_file(_STATIC, request.match_info["name"], _GUARD)

    async def _state(self, request: web.Request) -> web.Response:
        try:
            query = _Query.model_validate(dict(request.query))
        except ValidationError as problem:
            return json_response({"error": str(problem)}, 400)
        view = View(
            query.search.strip(),
            query.field,
            query.value,
            query.order == "latest",
            query.page,
            query.size,
        )
        return json_response(snapshot(self._outreach, view, self._clock()))

    async def _request(self, request: web.Request) -> web.Response:
        exchange = self._outreach.request_log.find(int(request.match_info["number"]))
        if exchange is None:
            raise web.HTTPNotFound(text="the log no longer holds this request\n")
        return json_response(
            {
                "number": exchange.number,
                "body": exchange.body.decode(errors="replace"),
                "answer": None if exchange.answer is None else exchange.answer.decode(),
            }
        )

    async def _prospect(self, request: web.Request) -> web.Response:
        story = prospect_story(self._outreach, int(request.match_info["number"]))
        if story is None:
            raise web.HTTPNotFound(text="there is no such prospect\n")
        return json_response({"now": self._clock(), **story})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        log = self._outreach.request_log
        return await send_revisions(request, lambda: log.revision, self._stopping, _LOOK_SECONDS)
