"""HTTP around `Outreach`: reads requests, keeps the log, sends answers or loses them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from aiohttp import web

from pipeline.sandbox.auth.consent import consent_page, refusal_page, way_back
from pipeline.sandbox.auth.oauth import masked_answer
from pipeline.sandbox.core import Outreach
from pipeline.sandbox.request_log import LoggedRequest
from pipeline.sandbox.responses import ApiRequest, ApiResponse
from pipeline.sandbox.ui.admin_api import AdminApi
from pipeline.sandbox.ui.page import Page

_MAX_BODY_BYTES = 16 * 2**20
_LOOP_TURNS = 4
"""Turns of the event loop within which a closed connection is known to be closed."""

Work = Callable[[ApiRequest, LoggedRequest, float], ApiResponse]


class HttpApp:
    """Serves an `Outreach`.

    Args:
      outreach: what answers.
      clock: epoch seconds.
    """

    def __init__(self, outreach: Outreach, clock: Callable[[], float]) -> None:
        self._outreach = outreach
        self._clock = clock

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/api/v2/{path:.*}", self._api)
        app.router.add_get("/oauth/authorize", self._authorize)
        app.router.add_post("/oauth/authorize", self._decide)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_post("/api/app/installs/{install}/actions/accessToken", self._assertion)
        AdminApi(self._outreach, self._clock).add_to(app.router)
        Page(self._outreach, self._clock).add_to(app)
        return app

    async def _api(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._outreach.answer_api)

    async def _token(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._outreach.answer_token, secret=True)

    async def _assertion(self, request: web.Request) -> web.Response:
        install_id = request.match_info["install"]

        def work(asked: ApiRequest, exchange: LoggedRequest, now: float) -> ApiResponse:
            return self._outreach.answer_assertion(asked, install_id, exchange, now)

        return await self._answer(request, work, secret=True)

    async def _answer(
        self, request: web.Request, work: Work, *, secret: bool = False
    ) -> web.Response:
        request_log, clock = self._outreach.request_log, self._clock
        asked = ApiRequest(
            request.method,
            request.path,
            "" if secret else request.rel_url.raw_query_string,
            request.headers.get("Content-Type", ""),
            request.headers.get("Authorization", ""),
            await request.read(),
        )
        exchange = request_log.begin(asked, clock())
        logged: ApiResponse | None = None
        try:
            if request_log.overlapping(exchange):
                # The client may have given the other up, and its end be next in line.
                for _ in range(_LOOP_TURNS):
                    await asyncio.sleep(0)
            answer = work(asked, exchange, clock())
            delay = answer.delay_seconds + self._outreach.options.latency_seconds
            if delay:
                await asyncio.sleep(delay)
            logged = answer._replace(body=masked_answer(answer.body)) if secret else answer
        finally:
            request_log.finish(exchange, logged, clock())
        if answer.fate != "sent":
            _reset(request)
        return web.Response(status=answer.status or 500, body=answer.body, headers=answer.headers)

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        problem = self._outreach.oauth.refused(query)
        if problem:
            return _html(400, refusal_page(problem))
        user = self._outreach.options.approve
        if user is not None:
            return self._allow(query, user)
        return _html(200, consent_page(query, self._outreach.users()))

    async def _decide(self, request: web.Request) -> web.Response:
        query, form = dict(request.query), await request.post()
        problem = self._outreach.oauth.refused(query)
        user = str(form.get("user", "")).strip()
        if problem or not user:
            return _html(400, refusal_page(problem or "no user was named"))
        if form.get("decision") != "allow":
            return web.Response(
                status=302, headers={"Location": way_back(query, error="access_denied")}
            )
        return self._allow(query, user)

    def _allow(self, query: dict[str, str], user: str) -> web.Response:
        code = self._outreach.oauth.consent(query, user, self._clock())
        return web.Response(status=302, headers={"Location": way_back(query, code=code)})


def _reset(request: web.Request) -> None:
    """Ends the connection by a reset rather than by an orderly close."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


def _html(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")
