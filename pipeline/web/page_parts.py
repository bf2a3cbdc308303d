"""A page's files, and its stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from typing import Final

import orjson
from aiohttp import web

_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_SILENT_SECONDS: Final = 15.0
"""After so long without news a comment keeps the connection from seeming dead."""


def static_file(folder: Traversable, name: str, headers: Mapping[str, str]) -> web.Response:
    """A file of a page's folder.

    Raises:
      aiohttp.web.HTTPNotFound: there is none of that name.
    """
    kind, file = _TYPES.get(name.rpartition(".")[2]), folder / name
    if kind is None or "/" in name or not file.is_file():
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
    await stream.prepare(request)
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
    return stream
