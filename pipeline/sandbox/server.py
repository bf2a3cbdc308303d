"""A sandbox over HTTP: on a loop of one's own, or in a background thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import orjson
from aiohttp import web

from pipeline.sandbox.answers import Answer, Asked
from pipeline.sandbox.fields import ResourceKind
from pipeline.sandbox.gateway import Gateway
from pipeline.sandbox.journal import Exchange, Journal, Violation
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.resources import Resources
from pipeline.sandbox.state import Collection
from pipeline.sandbox.tokens import Tokens

T = TypeVar("T")

_STOP_SECONDS = 1.0
_MAX_BODY_BYTES = 16 * 2**20
_MAX_LINE_BYTES = 2**20
_LOOP_TURNS = 4
"""Turns of the event loop within which a closed connection is known to be closed."""


class Sandbox:
    """A local Outreach.

    Its methods may be called from any thread, before, while and after it runs.

    Args:
      options: how it behaves.
      clock: epoch seconds; tests pass their own to move an hour on at once.
    """

    def __init__(
        self,
        options: SandboxOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options or SandboxOptions()
        self._clock = clock
        self._collections: dict[ResourceKind, Collection] = {
            "prospect": Collection("prospect"),
            "account": Collection("account"),
        }
        self._journal = Journal(self.options.keep_requests)
        self._resources = Resources(self._collections, self.options.forbidden)
        self._tokens = Tokens(self.options.tokens)
        self._gateway = Gateway(self.options, self._tokens, self._resources, self._journal)
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fill()

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:41025``; empty before it starts."""
        return self._resources.base_url

    async def start(self) -> None:
        """Starts listening.

        Raises:
          OSError: the port is taken.
        """
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/api/v2/{path:.*}", self._serve_api)
        # A client that gives up ends its request: what it abandoned is not in flight.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            max_line_size=_MAX_LINE_BYTES,
            shutdown_timeout=_STOP_SECONDS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._resources.base_url = f"http://{host}:{port}"
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Stops listening and ends what is in flight."""
        self._loop = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def prospects(self) -> dict[int, dict[str, object]]:
        """Every prospect's attributes that are not null, by id."""
        return self._on_loop(lambda: self._contents("prospect"))

    def accounts(self) -> dict[int, dict[str, object]]:
        """Every account's attributes that are not null, by id."""
        return self._on_loop(lambda: self._contents("account"))

    def requests(self) -> list[Exchange]:
        """The log, oldest first; as long as `SandboxOptions.keep_requests` at most."""
        return self._on_loop(lambda: [replace(each) for each in self._journal.exchanges])

    def violations(self) -> list[Violation]:
        """What a careful client never does, as it was seen done, oldest first."""
        return self._on_loop(lambda: list(self._journal.violations))

    def seed(
        self,
        prospects: Iterable[int] | Mapping[int, Mapping[str, object]],
        kind: ResourceKind = "prospect",
    ) -> None:
        """Makes records exist: by their ids alone, or with attributes."""

        def add() -> None:
            now = self._clock()
            attributes = prospects if isinstance(prospects, Mapping) else {}
            for record_id in prospects:
                self._collections[kind].add(record_id, attributes.get(record_id, {}), now)

        self._on_loop(add)

    def _fill(self) -> None:
        self.seed(range(1, self.options.prospects + 1))
        if self.options.prospects_from is not None:
            with self.options.prospects_from.open("rb") as lines:
                for line in lines:
                    record = orjson.loads(line)
                    self.seed({record["id"]: record.get("attributes", {})})

    def _contents(self, kind: ResourceKind) -> dict[int, dict[str, object]]:
        return {
            record_id: dict(record.attributes)
            for record_id, record in self._collections[kind].items()
        }

    def _on_loop(self, act: Callable[[], T]) -> T:
        loop = self._loop
        if loop is None or _running_loop() is loop:
            return act()

        async def acting() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(acting(), loop).result()

    async def _serve_api(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            request.method,
            request.path,
            request.rel_url.raw_query_string,
            request.headers.get("Content-Type", ""),
            request.headers.get("Authorization", ""),
            await request.read(),
        )
        exchange = self._journal.begin(asked, self._clock())
        answer: Answer | None = None
        try:
            if self._journal.overlapping(exchange):
                # The client may have given the other up, and its end be next in line.
                for _ in range(_LOOP_TURNS):
                    await asyncio.sleep(0)
            given = self._gateway.answer(asked, exchange, self._clock())
            delay = given.delay_seconds + self.options.latency_seconds
            if delay:
                await asyncio.sleep(delay)
            answer = given
        finally:
            self._journal.finish(exchange, answer, self._clock())
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@contextmanager
def running_sandbox(
    options: SandboxOptions | None = None, clock: Callable[[], float] = time.time
) -> Iterator[Sandbox]:
    """Runs a sandbox in a background thread for as long as the ``with`` block lasts.

    Raises:
      OSError: the port is taken.
    """
    sandbox = Sandbox(options, clock)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
