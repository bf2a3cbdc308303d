"""Stands before Google's emulator, which does not notice that a client has gone.

Release 0.8.20 goes on giving messages to a stream that was reset, or whose connection is gone, and
each is then held until its deadline, over and over. What it heeds is that a client closes its half
of a stream, as one that was killed never does. So that is what it is told here instead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

_PREFACE_BYTES = 24
_HEAD_BYTES = 9
_DATA, _HEADERS, _RST_STREAM = 0, 1, 3
_END_STREAM = 1
_READ_BYTES = 65_536
_FAREWELL_SECONDS = 1.0
"""How long the server has to end the streams of whoever hung up."""


class Halves:
    """Which streams of one HTTP/2 connection its client has not closed its half of (RFC 9113)."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def heard(self, head: bytes, body: bytes) -> bytes:
        """What a server is told for a frame from the client: itself, mostly."""
        kind, flags = head[3], head[4]
        stream = int.from_bytes(head[5:], "big")
        if kind == _RST_STREAM and stream in self._open:
            self._open.remove(stream)
            return _end(stream)
        if kind == _HEADERS:
            self._open.add(stream)
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            self._open.discard(stream)
        return head + body

    def gone(self) -> bytes:
        """What it is told once the client has hung up."""
        return b"".join(map(_end, sorted(self._open)))


def _end(stream: int) -> bytes:
    return bytes([0, 0, 0, _DATA, _END_STREAM]) + stream.to_bytes(4, "big")


@contextmanager
def relayed(address: str, port: int = 0) -> Iterator[str]:
    """The address at which a server is told so, for as long as the ``with`` block lasts.

    Args:
      address: of the server.
      port: on which it is told; 0 for any that is free.
    """
    host, _, behind = address.rpartition(":")
    host = host.strip("[]")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):  # It is cancelled when the block ends.
            back, forth = await asyncio.open_connection(host, int(behind))
            answering = asyncio.create_task(_answer(back, writer))
            try:
                await _ask(reader, forth)
                await asyncio.wait([answering], timeout=_FAREWELL_SECONDS)
            finally:
                answering.cancel()
                forth.close()
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
    thread.start()

    def on_loop(act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, loop).result()

    server = on_loop(asyncio.start_server(serve, "127.0.0.1", port))
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        on_loop(_cancel_all())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ask(reader: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
    steps = Halves()
    try:
        forth.write(await reader.readexactly(_PREFACE_BYTES))
        while True:
            head = await reader.readexactly(_HEAD_BYTES)
            body = await reader.readexactly(int.from_bytes(head[:3], "big"))
            forth.write(steps.heard(head, body))
            await forth.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        forth.write(steps.gone())
        await forth.drain()


async def _answer(back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await back.read(_READ_BYTES):
            writer.write(some)
            await writer.drain()
    writer.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
