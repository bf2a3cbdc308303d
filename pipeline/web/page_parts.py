"""A page's files, those that all pages share, and its stream of server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from typing import Final

import orjson
from aiohttp import web

from pipeline.web.styles import SHARED

_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_SILENT_SECONDS: Final = 15.0
"""After so long without news a comment keeps the connection from seeming dead."""


def static_file(folder: Traversable, name: str, headers: Mapping[str, str]) -> web.Response:
    """A file of a page's folder, or of those that all pages share.

    Raises:
      aiohttp.web.HTTPNotFound: there is none of that name.
    """
    kind = _TYPES.get(name.rpartition(".")[2])
    if kind is None or "/" in name:
        raise web.HTTPNotFound
    file = folder / name if (folder / name).is_file() else SHARED / name
    if not file.is_file():
        raise web.HTTPNotFound
    return web.Response(
        body=file.read_bytes(), headers={**headers, "Content-Type": f"{kind}; charset=utf-8"}
    )


async def send_revisions(
    request: web.Request, revision: Callable[[], int], stopping: asyncio.Event, seconds: float
) -> web.StreamResponse:
    """Sends an event whenever a revision is another one, until the server stops.

    Args:
      request: for the stream.
      revision: changes with what the page shows.
      stopping: ends the stream.
      seconds: between two looks.
    """
    stream = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    with contextlib.suppress(ConnectionResetError):  # Whoever looked has gone away.
        await stream.prepare(request)
        await _send(stream, revision, stopping, seconds)
    return stream


async def _send(
    stream: web.StreamResponse, revision: Callable[[], int], stopping: asyncio.Event, seconds: float
) -> None:
    told, silent = -1, 0.0
    while not stopping.is_set():
        now = revision()
        if now != told:
            await stream.write(b"data: " + orjson.dumps({"revision": now}) + b"\n\n")
            told, silent = now, 0.0
        elif (silent := silent + seconds) >= _SILENT_SECONDS:
            await stream.write(b": still here\n\n")
            silent = 0.0
        try:
            await asyncio.wait_for(stopping.wait(), seconds)
        except TimeoutError:
            continue
