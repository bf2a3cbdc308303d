"""The page's addresses: its files, its data, word of each change, and its buttons."""

from __future__ import annotations

import asyncio
import hmac
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final

import orjson
from aiohttp import web

from pipeline.operator_page.state import LedgerState
from pipeline.web.page_parts import send_revisions, static_file
from transforms.errors import ActivationError

_log = logging.getLogger(__name__)

_STATIC = files("pipeline.operator_page") / "static"
_LOOK_SECONDS: Final = 1.0
_GUARD: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OperatorPage:
    """Serves the page of one ledger.

    Args:
      state: of the ledger.
      token: that the buttons need.
      hosts: names by which the page may be asked for; others are refused, so that no name of
        somebody else's can be made to lead here.
      private: whether reading needs the token too.
    """

    def __init__(
        self, state: LedgerState, token: str, hosts: frozenset[str], *, private: bool = False
    ) -> None:
        self._private = private
        self._state = state
        self._token = token
        self._hosts = hosts
        self._stopping = asyncio.Event()

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guarded], client_max_size=1 << 16, logger=_log)
        app.router.add_get("/", self._index)
        app.router.add_get("/favicon.ico", self._icon)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/api/status", self._status)
        app.router.add_get("/api/prospects/{number:[0-9]{1,19}}", self._prospect)
        app.router.add_get("/api/events", self._events)
        app.router.add_post("/api/release", self._release)
        app.router.add_post("/api/retry", self._retry)
        app.router.add_post("/api/{action:pause|resume|reconcile}", self._act)
        app.router.add_get("/api/receipts", self._receipts)
        app.router.add_get("/api/dead-letters.jsonl", self._dead_letters)
        app.on_shutdown.append(self._stop)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.host.rpartition(":")[0] if ":" in request.host else request.host
        if host.strip("[]").lower() not in self._hosts:
            return _json({"error": "this page has another name"}, 421)
        if _is_of_another_site(request):
            return _json({"error": "this is asked for by its own page only"}, 403)
        if self._private and request.path.startswith("/api/") and not self._has_token(request):
            return _json({"error": "this page is private: give its token"}, 401)
        try:
            return await handler(request)
        except (ActivationError, sqlite3.Error) as problem:
            return _json({"error": str(problem)}, 503)

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()

    async def _index(self, _: web.Request) -> web.Response:
        return static_file(_STATIC, "index.html", _GUARD)

    async def _icon(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _static(self, request: web.Request) -> web.Response:
        return static_file(_STATIC, request.match_info["name"], _GUARD)

    async def _status(self, _: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(self._state.status))

    async def _prospect(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return _json(await asyncio.to_thread(self._state.prospect, number))

    async def _release(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        segment = str(asked.get("segment", ""))
        released = await asyncio.to_thread(self._state.release, segment)
        if not released:
            return _json({"error": f"{segment} is not held"}, 404)
        _log.warning("audience %s was let go from the page", segment)
        return _json({"released": segment})

    async def _retry(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        reason = asked.get("reason")
        put = await asyncio.to_thread(self._state.retry, None if reason is None else str(reason))
        _log.warning("%d dead letters (%s) were put back from the page", put, reason or "all")
        return _json({"retried": put})

    async def _act(self, request: web.Request) -> web.Response:
        await self._asked(request)
        action = request.match_info["action"]
        await asyncio.to_thread(self._state.act, action)
        _log.warning("%s was asked for from the page", action)
        return _json({"done": action})

    async def _receipts(self, request: web.Request) -> web.Response:
        given = request.query
        prospect = given.get("prospect", "")
        found = await asyncio.to_thread(
            self._state.receipts,
            int(prospect) if prospect.isdecimal() and len(prospect) < 20 else None,  # noqa: PLR2004
            given.get("segment") or None,
            given.get("outcome") or None,
        )
        return _json({"receipts": found})

    async def _dead_letters(self, request: web.Request) -> web.StreamResponse:
        """Those that there are now, as JSON Lines that `replay` reads, with what arrived."""
        if not self._has_token(request):
            return _json({"error": "they hold what arrived: saving them needs the token"}, 401)
        reason = request.query.get("reason") or None
        until = await asyncio.to_thread(self._state.last_dead_letter)
        done, lines = await asyncio.to_thread(self._state.dead_letters, 0, until, reason)
        stream = web.StreamResponse(
            headers={
                **_GUARD,
                "Content-Type": "application/x-ndjson",
                "Content-Disposition": 'attachment; filename="dead-letters.jsonl"',
            }
        )
        await stream.prepare(request)
        while lines:
            await stream.write(b"".join(line + b"\n" for line in lines))
            done, lines = await asyncio.to_thread(self._state.dead_letters, done, until, reason)
        return stream

    def _has_token(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode(), self._token.encode()
        )

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        """What a button asks for, once its token is right.

        A page of somebody else's can send neither the header nor this content type.
        """
        if not self._has_token(request):
            raise web.HTTPUnauthorized(
                text='{"error": "the token is wrong"}', content_type="application/json"
            )
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        try:
            value = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            raise web.HTTPBadRequest from None
        return value if type(value) is dict else {}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        with self._state.watched() as version:
            return await send_revisions(request, version, self._stopping, _LOOK_SECONDS)


def _is_of_another_site(request: web.Request) -> bool:
    """Whether a page of another origin asks for data, as far as the browser says so."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    return request.path.startswith("/api/") and site not in ("none", "same-origin")


def _json(content: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any JSON value
    return web.Response(
        body=orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS),
        status=status,
        headers={**_GUARD, "Content-Type": "application/json"},
    )
