"""The door's addresses: ``POST /changes/{source}``, ``POST /oauth/token``, ``GET /healthz``."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from pipeline.destination.keys.sources import HmacSource, Source
from pipeline.door.answers import Refused, answer, answer_failure, json_answer, reason_of, refusal
from pipeline.door.authentication import SignIn
from pipeline.door.body import (
    BadEncodingError,
    TooLargeError,
    UnknownEncodingError,
    read_limited,
    unpack,
)
from pipeline.door.group_commit import NotKeptError
from pipeline.door.limits import FailedSignIns, RateLimit
from pipeline.door.preview import Previews
from pipeline.door.refusals import NO_SOURCE, TOKENS, Refusals
from pipeline.door.token_endpoint import TokenEndpoint
from pipeline.ledger.inbox import BACKFILL, LIVE, Message
from transforms.clock import micros
from transforms.formats.context import PLACE_BITS
from transforms.formats.envelopes import event_id
from transforms.plan import SOURCE_PREFIX
from transforms.times import parse_time

_log = logging.getLogger(__name__)

BODY_SECONDS: Final = 30.0
"""How long a client may take to send its body."""
RETRY_SECONDS: Final = 10
"""After which a client is to try again where nothing could be kept."""
LARGE_BYTES: Final = 1 << 16
"""Bodies above this are read on another thread, so that nobody waits behind them."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Keeper(Protocol):
    """Makes messages durable."""

    def keep(self, message: Message) -> Future[None]:
        """Has a message kept; the future is done when it is durable, or fails."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """One source's way in.

    Attributes:
      source: as the destination has it.
      sign_in: how it shows who it is.
      rate: what it may send.
    """

    source: Source
    sign_in: SignIn
    rate: RateLimit


class Door:
    """Answers what sources post.

    Args:
      entrances: by the sources' names.
      previews: reads bodies.
      keeper: makes them durable.
      tokens: issues tokens.
      clock: seconds since the epoch.
      max_body_bytes: of a body, as it is sent and unpacked.
      refusals: counts what is refused.
      published: microseconds since the epoch of the last that was kept.
    """

    def __init__(
        self,
        entrances: Mapping[str, Entrance],
        previews: Previews,
        keeper: Keeper,
        tokens: TokenEndpoint,
        clock: Callable[[], float],
        max_body_bytes: int,
        refusals: Refusals,
    ) -> None:
        self._entrances = entrances
        self._previews = previews
        self._keeper = keeper
        self._tokens = tokens
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._refusals = refusals
        self._failures = FailedSignIns()
        self._published = 0

    def app(self) -> web.Application:
        """The application that serves it."""
        app = web.Application(
            middlewares=[self._counted, _plain_errors],
            client_max_size=self._max_body_bytes,
            logger=_log,
        )
        app.router.add_post("/changes/{source}", self._changes)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_get("/healthz", self._healthz)
        return app

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if response.status >= web.HTTPBadRequest.status_code:
            name = TOKENS if request.path == TOKENS else request.match_info.get("source", "")
            known = name == TOKENS or name in self._entrances
            source = name if known else NO_SOURCE
            self._refusals.note(source, response.status, reason_of(response), self._clock())
        return response

    async def _healthz(self, _: web.Request) -> web.Response:
        return json_answer({"status": "ok"})

    async def _token(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        status, said = self._tokens.answer(request.headers, body, self._clock())
        if status == web.HTTPUnauthorized.status_code:
            await self._slow_down(request)
        return json_answer(said, status, {"Cache-Control": "no-store"}, said.get("error"))

    async def _changes(self, request: web.Request) -> web.Response:
        entrance = self._entrances.get(request.match_info["source"])
        if entrance is None:
            raise Refused(404, "unknown_source", "there is no such source in the destination")
        signed = isinstance(entrance.source.auth, HmacSource)
        if not signed:
            await self._admit(request, entrance, b"")
        wait_seconds = entrance.rate.wait(self._clock())
        if wait_seconds:
            said = f"more than {entrance.source.max_per_second:g} requests a second; send fewer"
            raise Refused(429, "too_many", said, math.ceil(wait_seconds))
        raw = await self._body(request)
        if signed:
            await self._admit(request, entrance, raw)
        return await self._keep(request, entrance.source, self._unpacked(request, raw))

    def _unpacked(self, request: web.Request, raw: bytes) -> bytes:
        try:
            return unpack(raw, request.headers.get("Content-Encoding", ""), self._max_body_bytes)
        except UnknownEncodingError:
            said = "Content-Encoding is neither gzip nor deflate; send one of these, or none"
            raise Refused(415, "encoding_unknown", said) from None
        except BadEncodingError:
            said = "the body is not encoded as Content-Encoding says, or was cut short"
            raise Refused(400, "encoding_invalid", said) from None
        except TooLargeError:
            raise self._too_large() from None

    def _too_large(self) -> Refused:
        said = f"a body may have {self._max_body_bytes:,} bytes, as it is sent and unpacked"
        return Refused(413, "too_large", f"{said}; send several")

    async def _keep(self, request: web.Request, source: Source, body: bytes) -> web.Response:
        now = micros(self._clock())
        if len(body) > LARGE_BYTES:
            preview = await asyncio.to_thread(self._previews.of, body, source.name, now)
        else:
            preview = self._previews.of(body, source.name, now)
        if preview.is_unreadable:
            return answer(preview, 400)
        message = Message(
            SOURCE_PREFIX + source.name,
            _name_of(request.headers) or preview.message_id or uuid.uuid4().hex,
            _sent_at(request.headers, now) or self._publish_time(now, preview.records),
            BACKFILL if source.lane == "backfill" else LIVE,
            body,
        )
        try:
            await asyncio.wrap_future(self._keeper.keep(message))
        except (NotKeptError, OSError) as problem:
            _log.error("what /changes/%s sent cannot be kept: %s", source.name, problem)
            said = "nothing was kept; send it again"
            return answer_failure(preview, 503, "unavailable", said, RETRY_SECONDS)
        return answer(preview, 200)

    def _publish_time(self, now: int, records: int) -> int:
        """A time after that of all records before: it orders those that have none."""
        self._published = max(now, self._published + 1)
        published = self._published
        self._published += records >> PLACE_BITS
        return published

    async def _admit(self, request: web.Request, entrance: Entrance, body: bytes) -> None:
        now = self._clock()
        if entrance.sign_in.admits(request.headers, body, now):
            self._failures.admitted(_address(request))
            return
        await self._slow_down(request)
        raise Refused(401, "unauthorized", "sign in as the destination says for this source")

    async def _slow_down(self, request: web.Request) -> None:
        """Counts a failed sign-in, and waits for as long as its address has to."""
        seconds = self._failures.failed(_address(request), self._clock())
        count = self._failures.count
        if count == 10 ** (len(str(count)) - 1):  # The first, the tenth, the hundredth …
            _log.warning("%d failed sign-ins so far, the last at %s", count, request.path)
        await asyncio.sleep(seconds)

    async def _body(self, request: web.Request) -> bytes:
        if request.content_length is None and "chunked" not in request.headers.get(
            "Transfer-Encoding", ""
        ):
            raise web.HTTPLengthRequired
        if (request.content_length or 0) > self._max_body_bytes:
            raise self._too_large()
        try:
            return await asyncio.wait_for(
                read_limited(request.content.iter_any(), self._max_body_bytes), BODY_SECONDS
            )
        except TooLargeError:
            raise self._too_large() from None
        except TimeoutError:
            raise web.HTTPRequestTimeout from None


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as JSON; a slip of ours is logged without what was sent."""
    try:
        return await handler(request)
    except Refused as refused:
        return refused.response()
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return refusal(error.status, error.reason.lower().replace(" ", "_"), error.reason, allow)
    except (ConnectionError, asyncio.CancelledError):
        raise  # The client has gone.
    except Exception:  # noqa: BLE001 - a slip of ours costs the request, and not the door
        _log.exception("a request to %s failed", request.path)
        said = "nothing was kept; send it again"
        return refusal(503, "unavailable", said, retry_after=RETRY_SECONDS)


def _name_of(headers: Mapping[str, str]) -> str | None:
    """Returns the id of a CloudEvent in binary mode, whose body is its data."""
    if "ce-id" not in headers:
        return None
    return f"cloudevent {event_id({'source': headers.get('ce-source'), 'id': headers['ce-id']})}"


def _sent_at(headers: Mapping[str, str], now: int) -> int | None:
    """When a CloudEvent in binary mode was sent, in microseconds; None where it does not say."""
    try:
        sent = parse_time(headers["ce-time"])
    except (KeyError, ValueError):
        return None
    return sent if sent <= now else None


def _address(request: web.Request) -> str:
    return request.remote or ""
