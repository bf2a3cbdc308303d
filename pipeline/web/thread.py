"""An aiohttp application on a thread and an event loop of its own: nothing delays its answers."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from transforms.errors import ConfigurationError

STOP_SECONDS: Final = 3.0
"""How long requests that have begun may take when it is stopped."""


@contextmanager
def served(
    app: Callable[[], web.Application],
    host: str,
    port: int,
    flag: str,
    context: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Serves an application until the block ends; yields the port that was bound.

    Args:
      app: makes it, on its thread.
      host: to listen on.
      port: to listen on; 0 for any free one.
      flag: that named these, for the error.
      context: for TLS; None for plain HTTP.

    Raises:
      ConfigurationError: it cannot listen there.
    """
    started: Future[int] = Future()
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        runner = web.AppRunner(
            app(),
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=STOP_SECONDS,
            handler_cancellation=False,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=context, backlog=1024).start()
            started.set_result(runner.addresses[0][1])
            await stop.wait()
        finally:
            await runner.cleanup()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve())
        except OSError as problem:
            said = f"{flag}: cannot listen on {host} port {port}: {problem.strerror}"
            started.set_exception(ConfigurationError(said))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=run, name=flag, daemon=True)
    thread.start()
    bound = started.result()
    try:
        yield bound
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def in_address(host: str) -> str:
    """A host as an address has it."""
    return f"[{host}]" if ":" in host else host
