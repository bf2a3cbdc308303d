"""A sandbox over HTTP: on a loop of one's own, or in a background thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from aiohttp import web

from pipeline.sandbox.core import Outreach
from pipeline.sandbox.faults import changed
from pipeline.sandbox.fields import ResourceKind
from pipeline.sandbox.http_app import HttpApp
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.request_log import LoggedRequest, Violation

T = TypeVar("T")

_STOP_SECONDS = 0.25
_MAX_LINE_BYTES = 2**20


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
        self._outreach = Outreach(self.options, clock())
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:41025``; empty before it starts."""
        return self._outreach.resources.base_url

    async def start(self) -> None:
        """Starts listening.

        Raises:
          OSError: the port is taken.
        """
        # A client that gives up ends its request: what it abandoned is not in flight.
        self._runner = web.AppRunner(
            HttpApp(self._outreach, self._clock).application(),
            access_log=None,
            handler_cancellation=True,
            max_line_size=_MAX_LINE_BYTES,
            shutdown_timeout=_STOP_SECONDS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._outreach.resources.base_url = f"http://{host}:{port}"
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Stops listening and ends what is in flight."""
        self._loop = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._outreach.close()

    def prospects(self) -> dict[int, dict[str, object]]:
        """Every prospect's attributes that are not null, by id."""
        return self._on_loop(lambda: self._contents("prospect"))

    def accounts(self) -> dict[int, dict[str, object]]:
        """Every account's attributes that are not null, by id."""
        return self._on_loop(lambda: self._contents("account"))

    def requests(self) -> list[LoggedRequest]:
        """The log, oldest first; as long as `SandboxOptions.keep_requests` at most."""
        return self._on_loop(
            lambda: [replace(each) for each in self._outreach.request_log.exchanges]
        )

    def violations(self) -> list[Violation]:
        """What a careful client never does, as it was seen done, oldest first."""
        return self._on_loop(lambda: list(self._outreach.request_log.violations))

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
                self._outreach.collections[kind].add(record_id, attributes.get(record_id, {}), now)

        self._on_loop(add)

    def delete(self, record_id: int, kind: ResourceKind = "prospect") -> None:
        """Deletes a prospect or an account, as a person does in Outreach."""
        self._on_loop(lambda: self._outreach.delete(kind, record_id, self._clock()))

    def restore(self, record_id: int) -> bool:
        """Brings a deleted prospect back from the bin; returns whether it was there."""
        records = self._outreach.collections["prospect"]
        return self._on_loop(lambda: records.recycle(record_id, self._clock()))

    def merge(self, record_id: int, into: int) -> None:
        """Merges a prospect into another one, which gets its addresses."""
        records = self._outreach.collections["prospect"]
        self._on_loop(lambda: records.merge(record_id, into, self._clock()))

    def spend_elsewhere(self, user: str, requests: int) -> int:
        """Lets a user's other tools spend budget now; returns how much was left to spend."""
        return self._on_loop(
            lambda: self._outreach.middleware.allowance(user).spend_elsewhere(
                requests, self._clock()
            )
        )

    def expire_tokens(self, user: str) -> int:
        """Lets a user's access tokens expire now; returns how many did."""
        return self._on_loop(lambda: self._outreach.tokens.expire(user, self._clock()))

    def revoke_tokens(self, user: str) -> int:
        """Ends a user's access and refresh tokens; returns how many access tokens there were."""
        return self._on_loop(lambda: self._outreach.middleware.revoke(user))

    def set_faults(self, **changes: float) -> None:
        """Changes what goes wrong from now on; the rest of `FaultSettings` stays.

        Raises:
          ValueError: there is no such setting, or it cannot be that.
        """
        settings = changed(self._outreach.faults.settings, changes)

        def put_in_force() -> None:
            self._outreach.faults.settings = settings

        self._on_loop(put_in_force)

    def maintain(self, seconds: float) -> None:
        """Opens a maintenance window: only 503 is answered for so long."""

        def begin() -> None:
            self._outreach.faults.maintenance_until = self._clock() + seconds

        self._on_loop(begin)

    def _contents(self, kind: ResourceKind) -> dict[int, dict[str, object]]:
        return {
            record_id: dict(record.attributes)
            for record_id, record in self._outreach.collections[kind].items()
        }

    def _on_loop(self, act: Callable[[], T]) -> T:
        loop = self._loop
        if loop is None or _running_loop() is loop:
            return act()

        async def acting() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(acting(), loop).result()


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
