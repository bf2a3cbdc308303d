"""What travels between the program and a server, byte by byte, kept as it passes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OF_ONE_CONNECTION = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class Passed(NamedTuple):
    """One request and its answer; `status` is None where the connection was lost."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int | None
    answer_headers: Mapping[str, str]
    answer: bytes


@contextmanager
def serving(answer: Answering, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves on a thread of its own while the block lasts; gives the URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="wire", daemon=True)
    thread.start()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def recorded(url: str, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[Passed]]]:
    """A way to a server that keeps all that passes, secrets and all; gives its own URL."""
    passed: list[Passed] = []

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        kept = Passed(request.method, request.raw_path, request.headers, body, None, {}, b"")
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _OF_ONE_CONNECTION
        }
        target = URL(f"{url}{request.raw_path}", encoded=True)
        try:
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(
                    request.method, target, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                content = await answer.read()
        except aiohttp.ClientError:
            passed.append(kept)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        passed.append(
            kept._replace(status=answer.status, answer_headers=answer.headers, answer=content)
        )
        returned = web.Response(status=answer.status, body=content)
        for name, value in answer.headers.items():
            if name.lower() not in _OF_ONE_CONNECTION:
                returned.headers[name] = value
        return returned

    with serving(forward, tls) as here:
        yield here, passed
