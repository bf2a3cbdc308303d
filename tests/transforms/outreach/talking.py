"""Servers of a few lines, and a patch sent to one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from transforms.outreach.client import OutreachClient, Reply, Timeouts

TOKEN = "s3cr3t-token"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server of a few lines."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"{'https' if tls else 'http'}://{host}:{port}"


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """An aiohttp server with the limits that it has by default."""
    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def patch_once(url: str, **settings: float) -> Reply:
    async with OutreachClient(url, timeouts=Timeouts(**settings)) as client:
        return await client.patch_prospect(1, {"custom4": "realized"}, TOKEN)
