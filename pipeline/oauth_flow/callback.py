"""Where an authorization request's answer arrives: on this machine, or pasted by a person."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from html import escape
from string import Template
from typing import Final

from aiohttp import web

from pipeline.oauth_flow.request import (
    AnswerError,
    AuthorizationRequest,
    read_answer,
    read_pasted_answer,
)
from transforms.errors import ActivationError, ConfigurationError

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.125rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0;
       padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; }
</style>
<script nonce="$nonce">history.replaceState(null, "", location.pathname)</script>
</head>
<body>
<main role="$role">
<h1>$title</h1>
<p>$text</p>
</main>
</body>
</html>
""")
"""Its one script takes the code out of the address bar."""

_CHUNK_BYTES: Final = 65_536
_SHUTDOWN_SECONDS: Final = 2.0


class Callback:
    """Waits for the one answer to a request; made within an event loop.

    Args:
      request: what was asked.
    """

    def __init__(self, request: AuthorizationRequest) -> None:
        self._request = request
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def code(self, wait_seconds: float, redirect_uri: str) -> str:
        """The authorization code.

        Args:
          wait_seconds: for the answer.
          redirect_uri: where it is expected.

        Raises:
          ActivationError: it was refused, or did not come in time.
        """
        try:
            async with asyncio.timeout(wait_seconds):
                return await self._code
        except TimeoutError:
            raise ActivationError(
                f"no answer came within {wait_seconds:g} s. If Outreach showed an error, check"
                f" client_id, and that {redirect_uri} stands among the redirect URIs"
                " of the application, letter by letter; then run connect again"
            ) from None

    def take(self, answer: dict[str, str]) -> str:
        """Takes an answer; returns what is wrong with it, for a person, or nothing."""
        if self._code.done():
            return "this request has had its answer"
        try:
            self._code.set_result(self._request.read_code(answer))
        except AnswerError as error:
            self._code.set_exception(error)
            return str(error)
        return ""

    def give_up(self, problem: str) -> None:
        """No answer can come any more."""
        if not self._code.done():
            self._code.set_exception(ActivationError(problem))


@asynccontextmanager
async def listening(callback: Callback, host: str, port: int, path: str) -> AsyncIterator[int]:
    """Takes the answer from a browser that is sent to this machine, while the block lasts.

    Args:
      callback: what to give it to.
      host: a name or address of this machine.
      port: 0 takes a free one.
      path: of the page; nothing else is answered.

    Yields:
      The port.

    Raises:
      ConfigurationError: the port is taken, or not for this user to take.
    """

    async def answered(request: web.Request) -> web.Response:
        if request.rel_url.raw_path != path:
            raise web.HTTPNotFound
        answer = read_answer(request.rel_url.raw_query_string)
        if answer is None:
            return _page("Nothing to see yet", "This page waits for an answer of Outreach.")
        problem = callback.take(answer)
        if problem:
            return _page("Not connected", f"{problem[0].upper()}{problem[1:]}.", role="alert")
        return _page("Thank you", "You may close this window and go back to the terminal.")

    app = web.Application()
    app.router.add_get("/{path:.*}", answered, allow_head=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            # asyncio's own sentence repeats the address, and a name that is not found has no errno.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror
            raise ConfigurationError(
                f"cannot listen on {host}:{port} ({reason}); end what listens there, or"
                " register another redirect URI and name it with --port or --redirect_uri"
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _page(title: str, text: str, role: str = "main") -> web.Response:
    nonce = secrets.token_urlsafe(12)
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline';"
        f" script-src 'nonce-{nonce}'; frame-ancestors 'none'",
    }
    page = _PAGE.substitute(title=escape(title), text=escape(text), role=role, nonce=nonce)
    return web.Response(text=page, content_type="text/html", headers=headers)


@contextmanager
def pasting(callback: Callback, say: Callable[[str], None], *, required: bool) -> Iterator[None]:
    """Takes the answer from an address that is pasted into the terminal, while the block lasts.

    Args:
      callback: what to give it to.
      say: tells the person what was wrong with what was pasted.
      required: whether no answer can come once standard input ends.
    """
    loop = asyncio.get_running_loop()
    source = sys.stdin.fileno()
    typed = b""

    def read() -> bool:
        nonlocal typed
        chunk = os.read(source, _CHUNK_BYTES)
        *lines, typed = (typed + chunk).split(b"\n") if chunk else (typed, b"")
        for line in filter(None, map(bytes.strip, lines)):
            answer = read_pasted_answer(line.decode(errors="replace"))
            if answer is None:
                say("That is not it: the address to paste has code= and state= in it.")
            else:
                callback.take(answer)
        if not chunk and required:
            callback.give_up("standard input ended before an address was pasted")
        return bool(chunk)

    def read_or_stop() -> None:
        if not read():
            loop.remove_reader(source)

    try:
        loop.add_reader(source, read_or_stop)
    except PermissionError:  # a file, which is always ready and so cannot be waited for
        while read():
            pass
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(source)
