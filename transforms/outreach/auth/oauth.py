"""An Outreach user connected by OAuth: tokens that renew themselves, one at a time.

Outreach's rules: an access token lives two hours; a refresh token two weeks, and each
exchange ends it and brings a new one; one token request a minute and user.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Final

from transforms.errors import CredentialError, Trouble
from transforms.outreach.auth.secret_source import SecretSource
from transforms.outreach.auth.token_request import (
    REQUEST_EVERY_SECONDS,
    TOKEN_PATH,
    must_reconnect,
    what_is_wrong,
)
from transforms.outreach.auth.token_response import Tokens
from transforms.outreach.auth.token_store import TokenStore, open_store
from transforms.outreach.client import OutreachClient, Reply

_RETRY_SECONDS: Final = (1.0, 4.0, 10.0)
_LOCK_POLL_SECONDS: Final = 0.25

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OAuthAuth:
    """An OAuth application and the store of one user's tokens.

    Attributes:
      client_id: the application's.
      client_secret_env: the environment variable that holds the application's secret; None where
        `client_secret_file` is given.
      token_store: see `open_store`.
      client_secret_file: the file or the secret of Secret Manager that does; see `SecretSource`.
    """

    client_id: str
    client_secret_env: str | None
    token_store: str
    client_secret_file: str | None = None

    def __post_init__(self) -> None:
        self.client_secret()

    def client_secret(self) -> SecretSource:
        """Where the application's secret is.

        Raises:
          ConfigurationError: both places are given, or neither.
        """
        return SecretSource(self.client_secret_env, self.client_secret_file)

    def credential(self, user: str, base_url: str) -> OAuthCredential:
        """See `transforms.outreach.auth.credentials.Auth`."""
        return OAuthCredential(self, user, OutreachClient(base_url), open_store(self.token_store))


class OAuthCredential:
    """Keeps one user's access token fresh.

    A new pair of tokens is in the store before it is used. Whoever shares the store takes
    turns: one renews, the others find what it stored. While the token endpoint is in
    trouble, a token that is still good goes on being used.

    Args:
      auth: what to read.
      user: the user's name, for messages.
      client: by which tokens are asked for; closed after each request, so that it may
        be used from one event loop after the other.
      store: where tokens are kept.
      max_wait_seconds: how long one call waits for its turn, and for a minute to pass.
      sleep: waits, in seconds.
    """

    def __init__(
        self,
        auth: OAuthAuth,
        user: str,
        client: OutreachClient,
        store: TokenStore,
        *,
        max_wait_seconds: float = 150.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._auth = auth
        self._user = user
        self._client = client
        self._store = store
        self._max_wait_seconds = max_wait_seconds
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._token = ""
        self._fresh_until = 0.0
        self._asked_at = -inf
        self._unkept: Tokens | None = None
        self._hopeless: tuple[str, CredentialError] | None = None

    def __repr__(self) -> str:
        return f"OAuthCredential(user={self._user!r}, store={self._store!r})"

    async def token(self, now: float) -> str:
        """See `transforms.outreach.auth.credentials.Credential`."""
        if now < self._fresh_until:
            return self._token
        async with self._turn:
            if now >= self._fresh_until:
                await self._renew(now, refused="")
            return self._token

    async def refused(self, token: str, now: float) -> None:
        """See `transforms.outreach.auth.credentials.Credential`."""
        async with self._turn:
            if token == self._token or not self._token:
                self._fresh_until = 0.0
                await self._renew(now, refused=token)

    async def connect(
        self, code: str, redirect_uri: str, now: float, *, code_verifier: str | None = None
    ) -> None:
        """Exchanges an authorization code for the first tokens and stores them.

        Raises:
          ActivationError: the code is refused, and another is to be had.
          CredentialError: the application is refused, or the store cannot be used.
          Trouble: the token endpoint or the store cannot be reached.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if code_verifier is not None:
            form["code_verifier"] = code_verifier
        async with self._turn, self._locked(now) as locked_at:
            await self._ask(form, locked_at, refresh_token="")

    async def _renew(self, now: float, *, refused: str) -> None:
        known = await self._read()
        if self._unkept is None and self._adopt(known, now, refused):
            return
        try:
            async with self._locked(now) as locked_at:
                await self._renew_locked(locked_at, refused)
        except Trouble:
            if known.access_token == refused or now >= known.ends_at:
                raise
            self._token = known.access_token
            self._fresh_until = min(known.ends_at, now + REQUEST_EVERY_SECONDS)

    async def _renew_locked(self, now: float, refused: str) -> None:
        known = await self._read()  # another may have renewed while this one waited
        unkept, self._unkept = self._unkept, None
        if unkept is not None and unkept.created_at >= known.created_at:
            known = unkept
            await self._keep(known)
        if self._adopt(known, now, refused):
            return
        if not known.refresh_token:
            raise must_reconnect(self._user, "its token has ended and there is none to renew it")
        asked_at = max(self._asked_at, known.created_at)
        wait_seconds = min(asked_at + REQUEST_EVERY_SECONDS - now, REQUEST_EVERY_SECONDS)
        if wait_seconds > 0:
            if self._hopeless is not None and self._hopeless[0] == known.refresh_token:
                # All that were in flight with the refused token come here one after the other.
                raise self._hopeless[1].with_traceback(None)
            await self._wait(wait_seconds)
            now += wait_seconds
        await self._write_back()
        form = {"grant_type": "refresh_token", "refresh_token": known.refresh_token}
        try:
            await self._ask(form, now, refresh_token=known.refresh_token)
        except CredentialError as problem:
            self._hopeless = (known.refresh_token, problem)
            raise

    def _adopt(self, tokens: Tokens, now: float, refused: str) -> bool:
        if tokens.access_token == refused or now >= tokens.renew_at:
            return False
        self._token, self._fresh_until = tokens.access_token, tokens.renew_at
        return True

    async def _ask(self, form: Mapping[str, str], now: float, *, refresh_token: str) -> None:
        secret = await asyncio.to_thread(self._auth.client_secret().read, self._user)
        form = {"client_id": self._auth.client_id, "client_secret": secret, **form}
        retries = iter(_RETRY_SECONDS)
        while True:
            problem, wait_seconds = "", next(retries, None)
            try:
                reply = await self._post(form)
            except Trouble as trouble:
                problem = str(trouble)
            else:
                self._asked_at = now
                if reply.status == HTTPStatus.OK:
                    break
                if reply.status == HTTPStatus.BAD_REQUEST and refresh_token:
                    known = await self._read()
                    if known.refresh_token != refresh_token and self._adopt(known, now, ""):
                        return
                problem = what_is_wrong(
                    reply, self._user, str(self._auth.client_secret()), renewing=bool(refresh_token)
                )
                if reply.status == HTTPStatus.TOO_MANY_REQUESTS and wait_seconds is not None:
                    wait_seconds = REQUEST_EVERY_SECONDS
            if wait_seconds is None:
                raise Trouble(f"no token for {self._user!r}: {problem}")
            await self._wait(wait_seconds)
            now += wait_seconds
        try:
            tokens = Tokens.read(reply.body, refresh_token=refresh_token, created_at=now)
        except ValueError as error:
            raise Trouble(f"the token endpoint's answer cannot be used: {error}") from None
        await self._keep(tokens)
        # By our own clock, which need not agree with the server's.
        self._token, self._fresh_until = tokens.access_token, now + tokens.renew_in

    async def _post(self, form: Mapping[str, str]) -> Reply:
        async with self._client as client:
            return await client.post_form(TOKEN_PATH, form)

    async def _read(self) -> Tokens:
        try:
            return Tokens.read(await asyncio.to_thread(self._store.read))
        except FileNotFoundError:
            raise must_reconnect(self._user, "it is not connected yet") from None
        except ValueError as error:
            problem = f"the token store {self._auth.token_store} cannot be used: {error}"
            raise must_reconnect(self._user, problem) from None
        except OSError as error:
            raise self._unusable("read", error) from None

    async def _write_back(self) -> None:
        """Writes what the store holds once more, since a refresh spends the token it is made with.

        Raises:
          CredentialError: the store takes nothing now; the token is not spent.
        """
        try:
            await asyncio.to_thread(lambda: self._store.write(self._store.read()))
        except OSError as error:
            raise self._unusable("written", error) from None

    async def _keep(self, tokens: Tokens) -> None:
        # The pair they came from is dead: should this fail, these are all there is.
        self._unkept = tokens
        try:
            await asyncio.to_thread(self._store.write, tokens.content)
        except OSError as error:
            raise self._unusable("written", error) from None
        self._unkept = None

    @asynccontextmanager
    async def _locked(self, now: float) -> AsyncIterator[float]:
        """Holds the store's lock; gives the time at which it was got."""
        deadline = now + self._max_wait_seconds
        try:
            while not await asyncio.to_thread(self._store.try_lock, now):
                if now >= deadline:
                    raise Trouble(f"another process is renewing the token of {self._user!r}")
                await self._sleep(_LOCK_POLL_SECONDS)
                now += _LOCK_POLL_SECONDS
        except OSError as error:
            raise self._unusable("locked", error) from None
        try:
            yield now
        finally:
            await asyncio.to_thread(self._store.unlock)

    async def _wait(self, seconds: float) -> None:
        if seconds > self._max_wait_seconds:
            raise Trouble(
                f"Outreach gives {self._user!r} one token a minute; the next in {seconds:.0f} s"
            )
        await self._sleep(seconds)

    def _unusable(self, verb: str, error: OSError) -> CredentialError:
        return CredentialError(
            self._user,
            f"its token store {self._auth.token_store} cannot be {verb} "
            f"({error.strerror or type(error).__name__})",
            "make it readable and writable for this process, its folder too",
        )
