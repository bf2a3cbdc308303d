"""Connecting one Outreach user: consent in a browser, a code, and the first tokens."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from pipeline.oauth_flow.callback import Callback, listening, pasting
from pipeline.oauth_flow.request import SCOPES, AuthorizationRequest
from transforms.clock import steady
from transforms.errors import ConfigurationError
from transforms.outreach.auth.oauth import OAuthAuth, OAuthCredential
from transforms.outreach.auth.token_request import REQUEST_EVERY_SECONDS
from transforms.outreach.auth.token_response import allows, read_scopes
from transforms.outreach.auth.token_store import FileStore, TokenStore, open_store
from transforms.outreach.client import OutreachClient

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
"""Where the answer is awaited if nothing is said: RFC 8252 (8.3) wants the address, no name."""

DEFAULT_PORT: Final = 80
"""Of an http address that names none."""

WAIT_SECONDS: Final = 300.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What is to be connected, and how.

    Attributes:
      user: the user's name in the destination file.
      auth: the application, and where the tokens go.
      base_url: of the API.
      scopes: to ask for.
      redirect_uri: of the application; None for a port of this machine.
      port: of this machine, where there is no `redirect_uri`; 0 takes a free one.
      wait_seconds: for the answer.
      open_browser: whether to.
      with_pkce: whether to prove to the token endpoint who asked.
    """

    user: str
    auth: OAuthAuth
    base_url: str
    scopes: Sequence[str] = SCOPES
    redirect_uri: str | None = None
    port: int = 0
    wait_seconds: float = WAIT_SECONDS
    open_browser: bool = True
    with_pkce: bool = True


async def connect(
    connection: Connection, console: Console, *, sleep: Sleep = asyncio.sleep
) -> None:
    """Sends the user to Outreach's page, awaits the answer, and stores the tokens it buys.

    Args:
      connection: see `Connection`.
      console: for the person who does it.
      sleep: waits, in seconds, between two requests for a token.

    Raises:
      ConfigurationError: the tokens could not be kept, or the answer not be awaited.
      CredentialError: the application is refused, or its secret is not there.
      ActivationError: there is no answer, or Outreach refuses.
      Trouble: the token endpoint cannot be reached.
    """
    # Before anybody is asked for anything: what would fail afterwards.
    connection.auth.client_secret().read(connection.user)
    store = checked_store(connection.auth.token_store)

    async def wait(seconds: float) -> None:
        if seconds >= REQUEST_EVERY_SECONDS:
            console.print(f"Outreach answers one token request a minute; waiting {seconds:.0f} s …")
        elif seconds >= 1:
            console.print(f"The token endpoint is in trouble; asking again in {seconds:.0f} s …")
        await sleep(seconds)

    credential = OAuthCredential(
        connection.auth, connection.user, OutreachClient(connection.base_url), store, sleep=wait
    )
    consent = await _consent(connection, console)
    await credential.connect(
        consent.code, consent.redirect_uri, steady(), code_verifier=consent.code_verifier
    )
    console.print(
        f"[green]connected[/] {escape(connection.user)}; its tokens are in"
        f" {escape(connection.auth.token_store)} and renew themselves"
    )
    granted = read_scopes(store.read())
    missing = [scope for scope in connection.scopes if granted and not allows(granted, scope)]
    if missing:
        console.print(f"[yellow]warning[/] not granted: {escape(', '.join(missing))}")


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user's consent brought, and what proves that it was asked for here."""

    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(repr=False)


async def _consent(connection: Connection, console: Console) -> Consent:
    request = AuthorizationRequest.fresh(with_pkce=connection.with_pkce)
    callback = Callback(request)
    async with _awaited(connection, callback, console) as redirect_uri:
        address = request.address(
            connection.base_url, connection.auth.client_id, redirect_uri, connection.scopes
        )
        console.print(
            f"Sign in to Outreach as the user whose requests [bold]{escape(connection.user)}[/]"
            " is to spend, and allow the access, on this page:\n"
        )
        console.print(f"{address}\n", markup=False)
        if connection.open_browser and _has_browser():
            # A browser may block until it is closed, and must not keep us from ending.
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        code = await callback.code(connection.wait_seconds, redirect_uri)
        return Consent(code, redirect_uri, request.code_verifier)


@asynccontextmanager
async def _awaited(
    connection: Connection, callback: Callback, console: Console
) -> AsyncIterator[str]:
    """Listens for the answer, or takes what is pasted, or both; gives the redirect URI."""
    uri = connection.redirect_uri
    parts = urlsplit(uri or f"http://{HOST}:{connection.port}{PATH}")
    listens = parts.scheme == "http"
    async with AsyncExitStack() as stack:
        if listens:
            port = parts.port if parts.port is not None else DEFAULT_PORT
            port = await stack.enter_async_context(
                listening(callback, parts.hostname or HOST, port, parts.path or "/")
            )
            uri = uri or f"http://{HOST}:{port}{PATH}"
            console.print(f"Listening at {escape(uri)} for the answer.")
            if sys.stdin.isatty():
                console.print(
                    "If your browser is on another machine, paste here the address that it could"
                    " not open in the end."
                )
        else:
            console.print(
                f"Your browser will be sent to {escape(str(uri))}. Whatever it shows there: copy"
                " its address, which then has code= in it, and paste it here."
            )
        if not listens or sys.stdin.isatty():
            stack.enter_context(pasting(callback, console.print, required=not listens))
        yield str(uri)


def checked_store(path: str) -> TokenStore:
    """The store at a path, once it is known that tokens can be written to it.

    Raises:
      ConfigurationError: they could not.
    """
    store = open_store(path)
    try:
        if isinstance(store, FileStore):
            if Path(path).is_dir():
                raise ConfigurationError(f"token_store {path} is a directory; name a file in it")
            with tempfile.TemporaryFile(dir=Path(path).resolve().parent):
                pass
        elif store.try_lock(steady()):
            store.unlock()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"token_store {path} cannot be written ({reason}); make its folder, and let this"
            " user write to it, or name another in the destination file"
        ) from None
    return store


def _has_browser() -> bool:
    # Without a screen, Python would start a browser that takes the terminal.
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
